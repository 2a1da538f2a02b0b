package audio

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Bounds of the beginning of a view.
const (
	// patience is how long a view that begins waits for the frames that belong
	// to the group of pictures which is there already.
	patience = 100 * time.Millisecond
	// lag is how far the newest frame lies before what it was made of, at most.
	lag = 100 * time.Millisecond
)

// weaver puts the units of a view together while it has readers. It belongs to
// one goroutine.
type weaver struct {
	v      *view
	stream *hub.Stream // the view's

	plan    *plan // what it goes by
	log     *hub.Log[frame]
	frames  *hub.Reader[frame] // nil without a transcoder
	release func()
	closing sync.WaitGroup // logs that were given up
	again   time.Time      // when a transcoder that has failed is tried again
	broken  bool           // it has failed, and made nothing since

	filler  filler
	starved bool            // as the view was told
	alias   [2]*media.Track // a track of the camera, and the same under the view's ID
	ready   []frame         // still to find their place among the units
	out     []*media.Unit
}

// run passes units on until the view has no readers, or ctx is done or the
// stream has ended: then nothing is left to begin with anew.
func (w *weaver) run(ctx context.Context) (ended bool) {
	units := w.v.parent.Units.Reader(w.v.name, hub.LastStart)
	defer units.Close()
	units.Relax()
	units.Watch()
	defer w.closing.Wait()
	defer w.giveUp()
	var in [64]*media.Unit
	var batch []*media.Unit
	for began := false; ; began = true {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil { // what is left goes out all the same
			n, lost = units.TryRead(in[:])
		}
		batch = append(batch[:0], in[:n]...)
		for !began && n > 0 {
			n, _ = units.TryRead(in[:])
			batch = append(batch, in[:n]...)
		}
		if lost > 0 && len(batch) > 0 && !batch[0].Gap {
			u := *batch[0]
			u.Gap = true
			batch[0] = &u
		}
		w.take(ctx, batch, began)
		w.stream.Units.Append(w.out...)
		clear(batch)
		clear(w.out)
		w.out = w.out[:0]
		if err != nil && len(batch) == 0 {
			return true
		}
		if w.stream.Units.Retire() {
			return false
		}
	}
}

// take makes w.out of what has come.
func (w *weaver) take(ctx context.Context, batch []*media.Unit, began bool) {
	if p := w.v.follow(w.stream); p != w.plan {
		w.plan = p
		w.filler.adopt(p)
	}
	w.transcoder()
	w.collect()
	if !began && w.frames != nil {
		w.await(ctx, batch)
	}
	if !w.filler.began && len(batch) > 0 {
		w.filler.begin(batch[0].DTS)
	}
	done := 0
	for _, u := range batch {
		for ; done < len(w.ready) && w.ready[done].pts <= u.DTS; done++ {
			w.frame(&w.ready[done])
		}
		w.unit(u)
	}
	for ; done < len(w.ready) && w.filler.began; done++ {
		w.frame(&w.ready[done])
	}
	w.ready = w.ready[:copy(w.ready, w.ready[done:])]
}

// transcoder begins to read the transcoder's frames, or no longer does so, as
// the plan wants it.
func (w *weaver) transcoder() {
	wanted := w.plan.method == made
	switch {
	case !wanted:
		w.giveUp()
	case w.frames == nil && !time.Now().Before(w.again) && !w.v.parent.Closed():
		w.log, w.release = hub.Derive(w.v.parent, recipe(w.v.parent, w.v.mode.Stereo, w.v.open))
		w.frames = w.log.Reader("audio", hub.Settled)
		w.frames.Relax()
	}
}

// giveUp no longer reads the transcoder's frames. It does not wait for the
// transcoder to end.
func (w *weaver) giveUp() {
	if w.frames == nil {
		return
	}
	w.frames.Close()
	w.closing.Go(w.release)
	w.frames, w.log, w.release = nil, nil, nil
	w.ready = w.ready[:0]
}

// fail gives up a transcoder that can do no more.
func (w *weaver) fail(err error) {
	w.giveUp()
	if !errors.Is(err, io.EOF) {
		w.again, w.broken = time.Now().Add(pause), true
		w.v.failed(err)
	}
}

// collect takes what the transcoder has made by now.
func (w *weaver) collect() {
	var in [32]frame
	for w.frames != nil {
		n, _ := w.frames.TryRead(in[:])
		for _, f := range in[:n] {
			if !w.made(f) {
				return
			}
		}
		if n == 0 {
			if err := w.log.Err(); err != nil {
				w.fail(err)
			}
			return
		}
	}
}

// made takes one frame, and tells whether more may follow.
func (w *weaver) made(f frame) bool {
	if f.err != nil {
		w.fail(f.err)
		return false
	}
	w.ready = append(w.ready, f)
	return true
}

// await waits a moment for the frames that belong to the units with which the
// view begins.
func (w *weaver) await(ctx context.Context, batch []*media.Unit) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	i := len(batch) - 1
	for i >= 0 && batch[i].Track.ID != w.plan.source.ID {
		i--
	}
	if i < 0 {
		return
	}
	for len(w.ready) == 0 || w.ready[len(w.ready)-1].pts < batch[i].PTS-lag {
		f, _, err := w.frames.Next(ctx)
		if err != nil || !w.made(f) {
			return // collect sees why
		}
	}
}

// unit passes a unit on if it belongs to the view. Silence stands before the
// unit by whose time it goes, but behind one that readers begin with.
func (w *weaver) unit(u *media.Unit) {
	p, sound := w.plan, u.Track.Kind == media.KindAudio
	clock := p.silence != nil && sound != p.video
	if clock && !u.Key {
		w.silence(u)
	}
	switch {
	case !sound:
		w.out = append(w.out, u)
	case p.method != copied || u.Track.ID != p.source.ID || u.Track.Codec != p.source.Codec:
	case p.silence == nil || w.admit(u.PTS):
		w.out = append(w.out, w.as(u))
	}
	if clock && u.Key {
		w.silence(u)
	}
}

// as returns u under the view's ID of its track.
func (w *weaver) as(u *media.Unit) *media.Unit {
	id := w.plan.out.ID
	if u.Track.ID == id {
		return u
	}
	if w.alias[0] != u.Track {
		w.alias = [2]*media.Track{u.Track, withID(u.Track, id)}
	}
	c := *u
	c.Track = w.alias[1]
	return &c
}

// frame passes a frame of the transcoder on.
func (w *weaver) frame(f *frame) {
	if w.plan.method != made || !w.admit(f.pts) {
		return
	}
	w.out = append(w.out, &media.Unit{
		Track: w.plan.out, PTS: f.pts, DTS: f.pts, Wall: f.wall, Data: [][]byte{f.data}, Key: f.key, Gap: f.gap,
	})
	if w.broken {
		w.broken = false
		w.v.failed(nil)
	}
}

// admit tells whether audio of that time may follow what the view has had.
func (w *weaver) admit(pts time.Duration) bool {
	ok := w.filler.admit(pts)
	w.tell()
	return ok
}

// silence puts in the silence that is owed before u, by whose time the view goes.
func (w *weaver) silence(u *media.Unit) {
	w.filler.advance(u)
	w.tell()
	for {
		pts, gap, ok := w.filler.next()
		if !ok {
			return
		}
		w.out = append(w.out, &media.Unit{
			Track: w.plan.out, PTS: pts, DTS: pts, Wall: u.Wall, Data: w.plan.silence, Key: !w.plan.video, Gap: gap,
		})
	}
}

// tell keeps the state up to date.
func (w *weaver) tell() {
	if w.starved != w.filler.starved {
		w.starved = w.filler.starved
		w.v.hungry(w.starved)
	}
}
