package depay

import (
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/timeline"
)

// Assembler makes units of the packets of a camera: it keeps a decoder for each
// track, follows parameter sets in band, and puts every unit on the time line.
//
// Video begins with a key picture. When a picture that others refer to is
// missing, what follows is dropped up to the next key picture: a frozen picture
// for a moment instead of a broken one, and nothing that a strict decoder
// refuses. Where the slice headers of H.264 show that nothing was missing (a
// counter that jumps, a lost picture that nothing refers to) nothing more is
// dropped. A unit is a Gap where the time line begins anew, and where after a
// loss or an outage there is a hole in time before it: of more than two
// pictures, or of half a second of audio. A lost audio frame is no Gap.
type Assembler struct {
	tl        *timeline.Timeline
	lanes     []*lane // by track ID, nil for tracks without units
	tracks    []*media.Track
	changed   bool
	audioOnly bool
	aus       []AU
}

// lane is one track.
type lane struct {
	track     *media.Track
	dec       *Decoder
	dts       *timeline.DTS
	ref       reference
	begun     bool          // has given out a unit
	gap       bool          // something may be missing before the next unit
	restart   bool          // the time line begins anew with the next unit
	suspect   bool          // the next packets may not continue what was
	waiting   bool          // drop up to the next key picture
	high      time.Duration // highest PTS given out
	unready   uint64
	skipped   uint64
	badParams uint64
}

// Stats tells what became of the packets of one track.
type Stats struct {
	Counts           // of its decoder
	Skipped   uint64 // whole access units not given out: they followed a loss, or no key picture yet
	Unready   uint64 // whole access units not given out: parameter sets are not known yet
	BadParams uint64 // parameter sets that could not be parsed
	Clamped   uint64 // pictures whose times were inconsistent
}

// NewAssembler returns an assembler for tracks, whose index is their ID. Tracks
// whose packets cannot be decoded give no units; the first reason is returned
// beside an assembler that works for the others. tl outlives it: a new
// assembler in the same connection goes on where an earlier one has stopped.
func NewAssembler(tracks []*media.Track, tl *timeline.Timeline) (*Assembler, error) {
	a := &Assembler{tl: tl, audioOnly: true, lanes: make([]*lane, len(tracks))}
	var first error
	for i, t := range tracks {
		if d, err := codec.Describe(*t); err == nil {
			t = &d
		}
		a.tracks = append(a.tracks, t)
		if !t.HasUnits() {
			continue
		}
		dec, err := New(t)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		video := t.Kind == media.KindVideo
		a.audioOnly = a.audioOnly && !video
		a.lanes[i] = &lane{track: t, dec: dec, dts: timeline.NewDTS(timeline.UnknownDepth), waiting: video}
		a.lanes[i].describe()
		tl.Interrupted(t)
	}
	return a, first
}

// Connect begins a new connection of the camera: its first packets do not
// continue what was before. Packets with Gap need no call of Connect when
// their stamps go on from the old ones.
func (a *Assembler) Connect() {
	a.tl.Connect()
	for _, l := range a.lanes {
		if l != nil {
			a.aus = l.dec.Flush(a.aus[:0])
			l.interrupted()
		}
	}
}

// Packets takes one entry of the packet log and appends the units that it
// completes to out. The units alias p.Wire. Packets of tracks without units,
// malformed ones and surplus ones are counted and otherwise ignored.
func (a *Assembler) Packets(p media.Packets, out []*media.Unit) []*media.Unit {
	if p.Track.ID >= len(a.lanes) || a.lanes[p.Track.ID] == nil {
		return out
	}
	l := a.lanes[p.Track.ID]
	a.aus = a.aus[:0]
	if p.Gap && !l.dec.misses(&p) {
		a.aus = l.dec.Flush(a.aus)
		out = a.units(l, out)
		a.aus = a.aus[:0]
		l.interrupted()
		a.tl.Interrupted(l.track)
	}
	for packet := range p.RTP() {
		a.aus, _ = l.dec.Decode(a.aus, packet, p.Wall) // counted by the decoder
	}
	return a.units(l, out)
}

// SenderReport passes an RTCP sender report on to the time line.
func (a *Assembler) SenderReport(trackID int, ntp time.Time, rtp uint32, arrival time.Time) {
	if trackID < len(a.lanes) && a.lanes[trackID] != nil {
		a.tl.SenderReport(a.lanes[trackID].track, ntp, rtp, arrival)
	}
}

// Tracks returns the tracks as they are known now, and whether that has
// changed since the last call. The slice is the caller's.
func (a *Assembler) Tracks() (tracks []*media.Track, changed bool) {
	changed, a.changed = a.changed, false
	return append([]*media.Track(nil), a.tracks...), changed
}

// Stats returns the figures of one track.
func (a *Assembler) Stats(trackID int) Stats {
	if trackID >= len(a.lanes) || a.lanes[trackID] == nil {
		return Stats{}
	}
	l := a.lanes[trackID]
	return Stats{
		Counts: l.dec.Counts(), Skipped: l.skipped, Unready: l.unready, BadParams: l.badParams,
		Clamped: l.dts.Clamped(),
	}
}

// units turns the access units in a.aus into units.
func (a *Assembler) units(l *lane, out []*media.Unit) []*media.Unit {
	for i := range a.aus {
		au := &a.aus[i]
		if au.Params {
			a.params(l, au)
		}
		if u := a.unit(l, au); u != nil {
			out = append(out, u)
		}
	}
	clear(a.aus)
	return out
}

// params follows the parameter sets of an access unit.
func (a *Assembler) params(l *lane, au *AU) {
	t, changed, err := codec.UpdateParams(l.track, au.Data)
	if err != nil {
		l.badParams++
	}
	if changed {
		l.track = t
		l.describe()
		a.tracks[t.ID] = t
		a.changed = true
	}
}

// unit returns the unit of an access unit, nil if it is not to be given out.
// The time line sees every access unit, so that it does not take a stretch of
// dropped ones for a jump.
func (a *Assembler) unit(l *lane, au *AU) *media.Unit {
	video := l.track.Kind == media.KindVideo
	l.follow(au)
	pts, anew := a.tl.Time(l.track, au.RTP, au.Wall)
	l.restart = l.restart || anew
	if !l.track.Ready() {
		l.unready++
		return nil
	}
	if l.waiting {
		l.skipped++
		return nil
	}
	u := &media.Unit{
		Track: l.track, PTS: pts, DTS: pts, Wall: au.Wall, Data: au.Data,
		Key: au.Key || !video && a.audioOnly,
		Gap: l.begun && (l.restart || l.gap && pts-l.high > l.hole()),
	}
	if video {
		u.DTS, u.PTS = l.dts.Next(pts, l.step(), u.Gap)
	}
	l.begun, l.gap, l.restart, l.high = true, false, false, max(l.high, pts)
	return u
}
