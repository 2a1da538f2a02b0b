package rtspd

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// startMode is how a new viewer gets to the live edge.
type startMode uint8

const (
	startFast startMode = iota // the cached group of pictures at once, squeezed to just before the live edge
	startGOP                   // the cached group of pictures, stamps as they are
	startLive                  // wait for the next key frame
)

func parseStart(q url.Values) (startMode, bool) {
	switch q.Get("start") {
	case "", "fast":
		return startFast, true
	case "gop":
		return startGOP, true
	case "live":
		return startLive, true
	}
	return 0, false
}

const (
	// squeezedSpan is the media time that the cached pictures take up before the
	// newest of them.
	squeezedSpan = 10 * time.Millisecond
	// squeezedStep is the most that two of them lie apart.
	squeezedStep = time.Millisecond
	// edgeAudio is how old audio may be to be sent along: more would make
	// players wait for the pictures that go with it.
	edgeAudio = 40 * time.Millisecond
	// maxReorder is the number of pictures in which a missing B-frame is looked for.
	maxReorder = 5
)

// catchUp sends everything from the newest key frame to now, with the stamps
// of pictures squeezed together before the live edge. A player thus decodes
// them as fast as it can, shows the newest one and is not behind. From the edge
// on stamps are the camera's.
func (v *viewer) catchUp(ctx context.Context, r *hub.Reader[media.Packets]) error {
	var cached []media.Packets
	for n := len(v.in); n == len(v.in); {
		n, _ = r.TryRead(v.in[:])
		cached = append(cached, v.in[:n]...)
	}
	clear(v.in[:])
	if len(cached) == 0 {
		return nil
	}
	for i := range cached {
		if id := cached[i].Track.ID; id < len(v.lanes) && v.lanes[id].up {
			v.observe(&v.lanes[id], &cached[i])
		}
	}
	newest := newestVideo(cached)
	squeezed := make([]squeeze, len(v.lanes))
	now := time.Now()
	for i := range cached {
		e := &cached[i]
		ts := e.Timestamp()
		switch {
		case e.Track.ID >= len(v.lanes):
			return errChanged
		case newest == nil:
		case e.Track.Kind == media.KindVideo:
			s := &squeezed[e.Track.ID]
			if s.stamps == nil {
				*s = newSqueeze(cached, e.Track)
			}
			ts = s.apply(ts)
		case newest.Wall.Sub(e.Wall) > edgeAudio:
			continue
		}
		if err := v.queue(e, ts, now); err != nil {
			return err
		}
	}
	return v.flush(ctx, now)
}

func newestVideo(cached []media.Packets) *media.Packets {
	for i := len(cached) - 1; i >= 0; i-- {
		if cached[i].Track.Kind == media.KindVideo {
			return &cached[i]
		}
	}
	return nil
}

// squeeze maps the stamps of cached pictures to just before the live edge, in
// the same order, evenly spaced. Stamps after the edge stay.
type squeeze struct {
	edge   uint32
	step   int32
	stamps []int32 // relative to edge, rising, the last one 0
}

// newSqueeze looks at the pictures of one track, in decoding order.
func newSqueeze(cached []media.Packets, t *media.Track) squeeze {
	var s squeeze
	for i := range cached {
		if cached[i].Track.ID == t.ID {
			s.edge = cached[i].Timestamp() // in the end that of the newest, which may still be incomplete
		}
	}
	for i := range cached {
		if cached[i].Track.ID == t.ID {
			s.stamps = append(s.stamps, int32(cached[i].Timestamp()-s.edge))
		}
	}
	slices.SortFunc(s.stamps, cmp.Compare[int32])
	s.stamps = slices.Compact(s.stamps)
	last, _ := slices.BinarySearch(s.stamps, 0)
	if t.Reorder {
		last = min(last, beforeHole(s.stamps))
	}
	s.move(last)
	ticks := func(d time.Duration) int64 { return media.ToTicks(d, t.ClockRate) }
	step := min(ticks(squeezedStep), ticks(squeezedSpan)/int64(len(s.stamps)))
	s.step = int32(max(1, step))
	return s
}

// move makes the stamp at index i the edge.
func (s *squeeze) move(i int) {
	by := s.stamps[i]
	s.edge += uint32(by)
	s.stamps = s.stamps[:i+1]
	for k := range s.stamps {
		s.stamps[k] -= by
	}
}

// beforeHole returns the index before the first gap among the last pictures in
// presentation order: B-frames that are still to come belong there, and they
// will come with their own stamps.
func beforeHole(stamps []int32) int {
	last := len(stamps) - 1
	if last < 2 {
		return last
	}
	usual := int32(1<<31 - 1)
	for i := max(1, last-4*maxReorder); i <= last; i++ {
		usual = min(usual, stamps[i]-stamps[i-1])
	}
	for i := max(1, last-maxReorder); i <= last; i++ {
		if gap := stamps[i] - stamps[i-1]; gap > usual+usual/2 {
			return i - 1
		}
	}
	return last
}

// apply returns the new stamp for ts.
func (s *squeeze) apply(ts uint32) uint32 {
	i, ok := slices.BinarySearch(s.stamps, int32(ts-s.edge))
	if !ok {
		return ts
	}
	return s.edge - uint32(s.step*int32(len(s.stamps)-1-i))
}
