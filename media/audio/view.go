package audio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// pause is how long a transcoder that has failed is left alone.
const pause = time.Minute

// View returns the view of s in which audio is made as mode says, and release,
// which must be called once the caller is done. All users of one mode share one
// view, and all views of a stream one encoder for mono and one for stereo. A
// mode that passes everything returns s itself.
//
// A view does nothing while nobody reads its units, and never holds s: whoever
// wants it to run says so elsewhere. Its packets are those of s, so that their
// tracks are not always those that the view lists.
func View(s *hub.Stream, mode Mode) (view *hub.Stream, release func()) {
	return open(s, mode, newEncoder, errWithout())
}

// StateOf returns what View does with the stream that it returned. Of any
// other stream it tells the codec of its audio.
func StateOf(s *hub.Stream) State {
	if v, ok := s.About().(*view); ok {
		return *v.state.Load()
	}
	st := State{Mode: Mode{Policy: Pass}}
	tracks, _ := s.Tracks()
	if i := slices.IndexFunc(tracks, func(t *media.Track) bool { return t.Kind == media.KindAudio }); i >= 0 {
		st.In = nameOf(tracks[i])
		st.Out = st.In
	}
	return st
}

// Expect returns what View would do with a stream of those tracks.
func Expect(tracks []*media.Track, mode Mode) State {
	if mode.passes() {
		mode = Mode{Policy: Pass}
	}
	return newPlan(tracks, mode, nil, errWithout()).state
}

// view makes one view.
type view struct {
	name    string
	parent  *hub.Stream
	mode    Mode
	open    func(channels int) (encoder, error)
	without error // why there is no encoder; nil if there is one
	state   atomic.Pointer[State]

	mu      sync.Mutex // guards what follows
	plan    *plan
	failure error // of the transcoder, until one works
	starved bool  // silence stands in for audio that was promised
}

// open is View with encoders of the caller's, and the reason why there are none.
func open(
	s *hub.Stream, mode Mode, encoders func(channels int) (encoder, error), without error,
) (stream *hub.Stream, release func()) {
	if mode.passes() {
		return s, func() {}
	}
	name := fmt.Sprintf("audio %+v", mode)
	v := &view{name: name, parent: s, mode: mode, open: encoders, without: without}
	p := v.follow(nil)
	return hub.View(s, hub.ViewRecipe{
		Name: name, Tracks: p.tracks, About: v, Run: v.run,
	})
}

// run keeps the view until ctx is done or the stream ends.
func (v *view) run(ctx context.Context, stream *hub.Stream) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var passing sync.WaitGroup
	passing.Go(func() {
		defer cancel()
		err = v.pass(ctx, stream)
	})
	for ctx.Err() == nil && !v.parent.Closed() {
		_, changed := v.parent.Tracks()
		v.follow(stream)
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	cancel()
	passing.Wait()
	return err
}

// pass passes units on while the view has readers, until ctx is done.
func (v *view) pass(ctx context.Context, stream *hub.Stream) (err error) {
	defer media.Contain(&err)
	for stream.Units.AwaitReader(ctx) == nil {
		w := &weaver{v: v, stream: stream}
		if w.run(ctx) {
			break
		}
	}
	return nil
}

// follow makes the plan anew if the camera's tracks have changed, and returns
// the one that holds.
func (v *view) follow(stream *hub.Stream) *plan {
	v.mu.Lock()
	defer v.mu.Unlock()
	tracks, _ := v.parent.Tracks()
	was := v.plan
	if was != nil && slices.Equal(tracks, was.of) {
		return was
	}
	v.plan = newPlan(tracks, v.mode, was, v.without)
	if stream != nil && !slices.Equal(v.plan.tracks, was.tracks) {
		stream.SetTracks(v.plan.tracks)
	}
	v.publish()
	return v.plan
}

// failed notes why the transcoder can do no more, nil if it works.
func (v *view) failed(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failure = err
	v.publish()
}

// hungry notes whether silence stands in for audio that was promised.
func (v *view) hungry(starved bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.starved = starved
	v.publish()
}

// publish makes the state what it is. mu is held.
func (v *view) publish() {
	st := v.plan.state
	switch {
	case v.plan.method == made && v.failure != nil:
		st.Reason = fmt.Sprintf("audio cannot be transcoded (%v), so there is silence", v.failure)
	case v.plan.method != none && v.starved:
		st.Reason = "the camera's audio does not come, so there is silence"
	}
	v.state.Store(&st)
}
