package camera

import (
	"fmt"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/hub"
)

// unitsLinger is how long units are made on after their last reader: one that
// comes back soon then finds a log without a hole.
const unitsLinger = 30 * time.Second

// assemble makes units of what has just been published, while somebody reads
// them. A first reader gets the newest group of pictures as well.
func (in *ingest) assemble(runs []media.Packets, now time.Time) {
	st := &in.splice.units
	if in.stream.Units.Readers() == 0 {
		if st.asm == nil {
			return
		}
		if st.unwanted.IsZero() {
			st.unwanted = now
		}
		if now.Sub(st.unwanted) > unitsLinger {
			st.asm = nil
			return
		}
	} else {
		st.unwanted = time.Time{}
	}
	if shape := shapeOf(in.tracks); st.asm == nil || st.shape != shape {
		asm, err := depay.NewAssembler(in.tracks, in.splice.tl)
		if err != nil {
			in.log.Warn("a track cannot be packaged or pushed", "err", err)
		}
		st.asm, st.shape = asm, shape
		runs = in.newestGroup(runs)
	}
	in.units = in.units[:0]
	for _, p := range runs {
		in.units = st.asm.Packets(p, in.units)
		st.fedUntil = p.Wall
	}
	in.stream.Units.Append(in.units...)
	clear(in.units)
}

// newestGroup returns all runs from the newest start on, to begin with; or
// what has just come, if that start was fed already.
func (in *ingest) newestGroup(fresh []media.Packets) []media.Packets {
	first, ok := in.stream.Packets.LastStart()
	if !ok || !first.Wall.After(in.splice.units.fedUntil) {
		return fresh
	}
	r := in.stream.Packets.Reader("units", hub.LastStart)
	defer r.Close()
	var all []media.Packets
	var part [64]media.Packets
	for {
		n, _ := r.TryRead(part[:])
		if n == 0 {
			return all
		}
		all = append(all, part[:n]...)
	}
}

// shapeOf tells whether an assembler made for other tracks will do.
func shapeOf(tracks []*media.Track) string {
	var b strings.Builder
	for _, t := range tracks {
		fmt.Fprintf(&b, "%s/%d/%d ", t.Codec, t.PayloadType, t.ClockRate)
	}
	return b.String()
}
