package camera

import (
	"fmt"
	"slices"
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
	if !in.wanted(runs, now) || len(runs) == 0 {
		return
	}
	if shape := shapeOf(in.tracks); st.asm == nil || st.shape != shape {
		asm, err := depay.NewAssembler(in.tracks, in.splice.tl)
		if err != nil {
			in.log.Warn("a track cannot be packaged or pushed", "err", err)
		}
		if st.shape != "" && st.shape != shape {
			asm.Connect() // other codecs, other clock rates
		}
		st.asm, st.shape = asm, shape
		runs = in.newestGroup(runs)
	}
	for _, p := range runs {
		in.units = st.asm.Packets(p, in.units)
		st.fedUntil = p.Wall
	}
	if tracks, changed := st.asm.Tracks(); changed {
		in.compare(tracks)
	}
	in.stream.Units.Append(in.units...)
	clear(in.units)
	in.units = in.units[:0]
}

// setsOf sums up the parameter sets that a camera has described itself with.
func setsOf(tracks []*media.Track) string {
	var b strings.Builder
	for _, t := range tracks {
		fmt.Fprintf(&b, "%x %x %x %x;", t.VPS, t.SPS, t.PPS, t.AudioConfig)
	}
	return b.String()
}

// wanted tells whether units are to be made. It gives the assembler up only
// where a group of pictures begins, so that a later one can begin with a whole
// group and repeat nothing; what the units held is not for whoever comes then.
func (in *ingest) wanted(runs []media.Packets, now time.Time) bool {
	st := &in.splice.units
	if in.stream.Units.Readers() > 0 {
		st.unwanted = time.Time{}
		return true
	}
	if st.unwanted.IsZero() {
		st.unwanted = now
	}
	begins := slices.ContainsFunc(runs, func(p media.Packets) bool { return p.Key })
	if st.asm != nil && begins && now.Sub(st.unwanted) > unitsLinger {
		if !in.stream.Units.Retire() {
			return true
		}
		st.asm = nil
	}
	return st.asm != nil
}

// compare takes over parameter sets that only the assembler could see, since
// they came in fragments.
func (in *ingest) compare(tracks []*media.Track) {
	changed := false
	for i, t := range tracks {
		is := in.tracks[i]
		if !slices.Equal(t.SPS, is.SPS) || !slices.Equal(t.PPS, is.PPS) || !slices.Equal(t.VPS, is.VPS) {
			in.adopt(in.lanes[i], t)
			changed = true
		}
	}
	if changed {
		in.stream.SetTracks(in.tracks)
	}
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
		fmt.Fprintf(&b, "%s/%s/%d/%d/%x ", t.Codec, t.RTPMap, t.PayloadType, t.ClockRate, t.AudioConfig)
	}
	return b.String()
}
