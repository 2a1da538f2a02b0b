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

// catchUp sends everything from the key frame the reader begins with to now. In fast mode the
// stamps of the pictures are squeezed together before the live edge: a player
// decodes them as fast as it can, shows the newest one and is not behind. From
// the edge on stamps are the camera's.
func (v *viewer) catchUp(ctx context.Context, r *hub.Reader[media.Packets]) error {
	cached := unbroken(v.drain(r, nil))
	if len(cached) == 0 {
		return nil
	}
	for i := range cached {
		if l := v.lane(&cached[i]); l != nil && l.up {
			v.observe(l, &cached[i])
		}
	}
	var c cache
	if v.mode == startFast {
		c = newCache(cached)
	}
	p := pacer{began: time.Now(), first: cached[0].Wall, unpaced: !v.paced}
	for len(cached) > 0 {
		for i := range cached {
			e := &cached[i]
			ts, ok := c.place(e)
			if !ok {
				continue
			}
			if err := p.wait(ctx, v, e); err != nil {
				return err
			}
			if err := v.queue(e, ts, time.Now()); err != nil {
				return err
			}
		}
		if err := v.flush(ctx, time.Now()); err != nil {
			return err
		}
		cached, c = v.drain(r, cached), cache{} // what has come meanwhile is live
	}
	return nil
}

// unbroken returns what follows the newest gap, from a key frame on: stamps
// may jump at a gap. Without such a key frame it returns all.
func unbroken(es []media.Packets) []media.Packets {
	from := 0
	for i := range es {
		switch {
		case i > 0 && es[i].Gap && !es[i].Key:
			if k := slices.IndexFunc(es[i:], func(e media.Packets) bool { return e.Key }); k > 0 {
				from = i + k
			}
		case i > 0 && es[i].Gap:
			from = i
		}
	}
	return es[from:]
}

// cache says what becomes of the packets up to now. The
// zero cache leaves them as they are.
type cache struct {
	newest   *media.Packets // video; nil leaves everything
	squeezed map[int]squeeze
}

func newCache(es []media.Packets) cache {
	c := cache{squeezed: make(map[int]squeeze)}
	for i := range es {
		if e := &es[i]; e.Track.Kind == media.KindVideo {
			c.newest = e
			if _, ok := c.squeezed[e.Track.ID]; !ok {
				c.squeezed[e.Track.ID] = newSqueeze(es, e.Track)
			}
		}
	}
	return c
}

// place returns the stamp that e is sent with, and whether it is sent.
func (c *cache) place(e *media.Packets) (ts uint32, ok bool) {
	switch {
	case c.newest == nil:
		return e.Timestamp(), true
	case e.Track.Kind == media.KindVideo:
		s := c.squeezed[e.Track.ID]
		return s.apply(e.Timestamp()), true
	}
	return e.Timestamp(), c.newest.Wall.Sub(e.Wall) <= edgeAudio
}

// drain returns all that can be read now, in the place of old.
func (v *viewer) drain(r *hub.Reader[media.Packets], old []media.Packets) []media.Packets {
	clear(old)
	all := old[:0]
	for n := len(v.in); n == len(v.in); {
		var lost uint64
		n, lost = r.TryRead(v.in[:])
		v.lost += lost
		all = append(all, v.in[:n]...)
	}
	clear(v.in[:])
	return all
}

// pacer sends what is cached over UDP at a multiple of its own speed. Whoever
// decodes between reading from the socket would lose what comes faster.
type pacer struct {
	unpaced bool
	began   time.Time
	first   time.Time // arrival of the first packet
	ts      uint32    // of the last picture
	begun   bool
}

const (
	// startSpeed is how many seconds of media are sent in one.
	startSpeed = 5
	// maxTurn is the longest wait for one picture, whatever the camera did.
	maxTurn = 100 * time.Millisecond
)

// wait flushes the picture before e and waits for the turn of e, if e begins a
// picture.
func (p *pacer) wait(ctx context.Context, v *viewer, e *media.Packets) error {
	if p.unpaced || e.Track.Kind != media.KindVideo || p.begun && e.Timestamp() == p.ts {
		return nil
	}
	p.begun, p.ts = true, e.Timestamp()
	if err := v.flush(ctx, time.Now()); err != nil {
		return err
	}
	d := time.Until(p.began.Add(e.Wall.Sub(p.first) / startSpeed))
	if d < time.Millisecond {
		return nil
	}
	turn := time.NewTimer(min(d, maxTurn))
	defer turn.Stop()
	select {
	case <-turn.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
