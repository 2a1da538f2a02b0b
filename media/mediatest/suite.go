package mediatest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Received is one frame as the peer of an output got it.
type Received struct {
	Kind media.Kind
	Key  bool          // video: the peer may begin here
	PTS  time.Duration // as the container tells it; only differences count
	SPS  []byte        // with which the peer would decode the picture; nil where that cannot be told
}

// Suite is what every output must do, whatever its protocol. An output's test
// fills it in and calls Run.
type Suite struct {
	// Kind is the clip that the output is fed with.
	Kind Kind
	// Start runs the output on s with a peer that passes each frame on to got,
	// in order and from one goroutine at a time, and returns when both have
	// ended. The output is to end when ctx is done.
	Start func(ctx context.Context, s *hub.Stream, got func(Received)) error
	// Stall is Start with a peer that accepts the output and then reads
	// nothing. It may end by itself. It is nil where an output has no such peer.
	Stall func(ctx context.Context, s *hub.Stream) error
	// Fixed tells that the output cannot carry new parameter sets without a
	// new session; it must then end by itself when they come.
	Fixed bool
}

// stopIn is how soon an output must have ended after it was told to.
const stopIn = 2 * time.Second

// Run runs all cases, each in its own subtest, on streams of their own. It takes
// some seconds of real time.
func (x Suite) Run(t *testing.T) {
	for name, run := range map[string]func(context.Context, *rig) error{
		"a late peer begins at a key frame":     x.lateJoin,
		"new parameter sets reach the peer":     x.newParameters,
		"after a gap it goes on at a key frame": x.gap,
		"a slow peer does not hold the log":     x.slowPeer,
		"it stops within two seconds":           x.stop,
		"it ends when the stream ends":          x.end,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if x.Stall == nil && name == "a slow peer does not hold the log" {
				t.Log("this output has no peer that could be slow")
				return
			}
			if err := run(t.Context(), newRig(t, x.Kind)); err != nil {
				t.Error(err)
			}
		})
	}
}

// session is a running output.
type session struct {
	stop func()
	done chan struct{}
	err  error // valid once done is closed

	mu  sync.Mutex // guards got
	got []Received
}

func (x Suite) start(ctx context.Context, s *hub.Stream) *session {
	ctx, cancel := context.WithCancel(ctx)
	r := &session{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = x.Start(ctx, s, func(f Received) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, f)
		})
	}()
	return r
}

// end stops the output and returns what its peer got.
func (r *session) end() ([]Received, error) {
	r.stop()
	if !soon(r.done) {
		return nil, fmt.Errorf("still running %v after it was stopped", stopIn)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got, nil
}

// running returns an error if the output has ended by itself.
func (r *session) running() error {
	select {
	case <-r.done:
		return fmt.Errorf("ended by itself: %w", r.err)
	default:
		return nil
	}
}

// soon tells whether done was closed in time, of which only that counts in which
// this program runs: a machine that is busy is no fault of the output.
func soon(done <-chan struct{}) bool {
	const step = 10 * time.Millisecond
	tick := time.NewTicker(step) // what comes late is not made up for
	defer tick.Stop()
	for range 3 * stopIn / (2 * step) { // the peer needs some of it to end
		select {
		case <-done:
			return true
		case <-tick.C:
		}
	}
	return false
}

func (x Suite) lateJoin(ctx context.Context, r *rig) error {
	if err := r.play(ctx, 1600*time.Millisecond, fast); err != nil {
		return err
	}
	out := x.start(ctx, r.stream)
	err := r.play(ctx, 3*time.Second, live)
	err = errors.Join(err, out.running())
	got, e := out.end()
	return errors.Join(err, e, check(got, 50, r.step()))
}

func (x Suite) newParameters(ctx context.Context, r *rig) error {
	err := r.play(ctx, 100*time.Millisecond, fast)
	out := x.start(ctx, r.stream)
	err = errors.Join(err, r.play(ctx, 2*time.Second, live))
	if !r.change() {
		_, e := out.end()
		return errors.Join(err, e)
	}
	err = errors.Join(err, r.play(ctx, 3*time.Second, live))
	if x.Fixed {
		if soon(out.done) {
			return err
		}
		_, e := out.end()
		return errors.Join(err, e, errors.New("goes on with parameter sets that its peer does not know"))
	}
	err = errors.Join(err, out.running())
	got, e := out.end()
	return errors.Join(err, e, check(got, 90, 200*time.Millisecond), checkSets(got))
}

func (x Suite) gap(ctx context.Context, r *rig) error {
	err := r.play(ctx, 100*time.Millisecond, fast)
	out := x.start(ctx, r.stream)
	err = errors.Join(err, r.play(ctx, 1500*time.Millisecond, live))
	r.skip(2 * time.Second)
	err = errors.Join(err, r.play(ctx, 3*time.Second, live), out.running())
	got, e := out.end()
	return errors.Join(err, e, check(got, 60, 5*time.Second))
}

func (x Suite) slowPeer(ctx context.Context, r *rig) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = x.Stall(ctx, r.stream) // may end by itself, for any reason
	}()
	units := r.stream.Units.Reader("beside", hub.Live)
	defer units.Close()
	err := r.play(ctx, time.Second, live)
	n, lost := 0, uint64(0)
	for range 100 { // piece by piece: a log keeps but the newest seconds for those who wait
		err = errors.Join(err, r.play(ctx, 200*time.Millisecond, fast))
		var in [64]*media.Unit
		m, before := units.TryRead(in[:])
		n, lost = n+m, lost+before
	}
	if lost > 0 {
		err = errors.Join(err, fmt.Errorf("a reader beside it lost %d units", lost))
	}
	if n < 20*clipFPS && err == nil {
		err = fmt.Errorf("a reader beside it saw %d units", n)
	}
	cancel()
	if !soon(done) {
		err = errors.Join(err, fmt.Errorf("still running %v after it was stopped, with a peer that reads nothing", stopIn))
	}
	return err
}

func (x Suite) stop(ctx context.Context, r *rig) error {
	out := x.start(ctx, r.stream) // before there is anything to send
	if _, err := out.end(); err != nil {
		return err
	}
	out = x.start(ctx, r.stream)
	err := r.play(ctx, 1200*time.Millisecond, live)
	_, e := out.end()
	return errors.Join(err, e)
}

func (x Suite) end(ctx context.Context, r *rig) error {
	out := x.start(ctx, r.stream)
	err := r.play(ctx, 1200*time.Millisecond, live)
	r.stream.Close()
	if !soon(out.done) {
		err = errors.Join(err, fmt.Errorf("still running %v after the stream ended", stopIn))
	}
	_, e := out.end()
	return errors.Join(err, e)
}
