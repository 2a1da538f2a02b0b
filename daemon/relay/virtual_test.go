package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// Of the test of thirty days.
const (
	seeds    = 1000
	days     = 30
	longest  = 61 * time.Second // backoff, and a connection that is slow
	mostIdle = 5 * time.Minute
)

// world is one path, and a model of what is to become of it that is written in
// another way: it looks at claims, stops and the clock, and knows no timers.
type world struct {
	t    *testing.T
	rnd  *rand.Rand
	path *Path

	mu      sync.Mutex // guards what follows
	policy  Policy
	claims  map[int]bool // by number: it starts and holds
	next    int
	held    time.Time // when a claim ended last
	stopped bool
	until   time.Time // of the stop; zero: none
	yields  bool
	edited  time.Time // the policy or a stop
	touched time.Time // when anything was done last
	outage  time.Time // until when the camera is away
	line    context.CancelCauseFunc
	closing bool // the hook has said close
	over    bool // the test ends
}

// TestThirtyDays lets viewers, keepalives, pushes, schedules, stops, edits and
// outages come at random for thirty days. No camera runs without a claim, or
// longer than idle_after after it; none that is wanted is down for longer than
// its backoff; none is closed under a claim.
func TestThirtyDays(t *testing.T) {
	const groups = 8
	for g := range groups {
		t.Run(fmt.Sprint(g), func(t *testing.T) {
			t.Parallel()
			for seed := g; seed < seeds && !t.Failed(); seed += groups {
				synctest.Test(t, func(t *testing.T) { live(t, uint64(seed)) })
			}
		})
	}
}

func live(t *testing.T, seed uint64) {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), claims: make(map[int]bool)}
	access := auth.New(slog.New(slog.DiscardHandler))
	r := New(Config{Sessions: session.NewRegistry(nil), Access: access, Hooks: w}, slog.New(slog.DiscardHandler))
	w.policy = w.anyPolicy()
	w.path = r.Put("gate", w.policy)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.path.Pull(ctx, supervise.Policy{}, w.camera) })
	for begin := time.Now(); time.Since(begin) < days*24*time.Hour && !t.Failed(); {
		time.Sleep(w.pause())
		synctest.Wait()
		w.probe()
		w.act(r)
	}
	if t.Failed() {
		d := w.path.Demand()
		t.Logf("seed %d: %+v\ndemand %+v\npolicy %+v", seed, w.path.State(), d, w.policy)
	}
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	cancel()
	wg.Wait()
}

// upTo returns a random time in [0, d).
func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rnd.Int64N(int64(d))) }

func (w *world) chance(percent int) bool { return w.rnd.IntN(100) < percent }

// pause returns how long nothing is done: often a moment, sometimes hours.
func (w *world) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance(50) {
		return w.upTo(2 * time.Minute)
	}
	return w.upTo(5 * time.Hour)
}

func (w *world) anyPolicy() Policy {
	p := Policy{
		Warm: w.chance(15), IdleAfter: w.upTo(mostIdle), StartTimeout: 10 * time.Second,
		OnIdle: []OnIdle{IdleClose, IdleClose, IdleKeep, IdleAsk}[w.rnd.IntN(4)],
	}
	if w.chance(40) {
		p.Schedule.Zone = "UTC"
		for i := range 1 + w.rnd.IntN(2) {
			p.Schedule.Windows[i] = Window{uint8(1 + w.rnd.IntN(127)), w.rnd.IntN(1440), 1 + w.rnd.IntN(1440)}
		}
	}
	return p
}

// open tells what the clock on the wall says of the schedule.
func (w *world) open(now time.Time) bool {
	now = now.UTC()
	minute, today := 60*now.Hour()+now.Minute(), uint8(1<<now.Weekday())
	yesterday := uint8(1 << ((now.Weekday() + 6) % 7))
	for _, h := range w.policy.Schedule.Windows {
		switch over := h.To <= h.From; {
		case !over && h.Days&today != 0 && minute >= h.From && minute < h.To,
			over && h.Days&today != 0 && minute >= h.From,
			over && h.Days&yesterday != 0 && minute < h.To:
			return true
		}
	}
	return false
}

// wants tells whether a claim starts and holds the camera. mu is held.
func (w *world) wants(now time.Time) bool { return w.policy.Warm || len(w.claims) > 0 || w.open(now) }

// stops tells whether a stop is in force. mu is held.
func (w *world) stops(now time.Time) bool {
	if w.stopped && !w.until.IsZero() && !now.Before(w.until) {
		w.stopped = false
	}
	return w.stopped
}

// camera is one connection.
func (w *world) camera(ctx context.Context, active func()) error {
	w.mu.Lock()
	now := time.Now()
	if w.stops(now) {
		w.t.Errorf("%v: connects while it is stopped", now)
	}
	if w.closing && !w.wants(now) {
		w.t.Errorf("%v: connects after the hook has said close", now)
	}
	w.closing = false
	away := now.Before(w.outage)
	slow := w.upTo(2 * time.Second)
	class := []media.Class{media.ClassNetwork, media.ClassBusy, media.ClassRefused}[w.rnd.IntN(3)]
	line, hang := context.WithCancelCause(ctx)
	defer hang(nil)
	w.line = hang
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.line = nil
	}()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	if away && ctx.Err() == nil {
		return media.Fail(class, errors.New("the camera is away"))
	}
	active()
	<-line.Done()
	if ctx.Err() == nil {
		return context.Cause(line)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now = time.Now(); !w.over && w.wants(now) && !w.stops(now) && w.edited != now {
		w.t.Errorf("%v: closed under a claim", now)
	}
	return ctx.Err()
}

// NoneReader implements Hooks.
func (w *world) NoneReader(context.Context, Idle) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.rnd.IntN(4) {
	case 0:
		return true, errors.New("no answer that can be read")
	case 1:
		return false, nil
	}
	w.closing = !w.wants(time.Now())
	return true, nil
}

// NotFound implements Hooks.
func (w *world) NotFound(context.Context, hub.Request) (Decision, error) {
	return Decision{}, ErrNoHook
}

// probe compares the path with the model.
func (w *world) probe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	connected := w.line != nil
	idle := true                                                               // for longer than idle_after
	for d := time.Duration(0); d < w.policy.IdleAfter; d += 30 * time.Second { // windows are minutes long
		idle = idle && !w.open(now.Add(-d))
	}
	idle = idle && !w.open(now.Add(-w.policy.IdleAfter)) && !w.wants(now) &&
		now.Sub(w.held) > w.policy.IdleAfter && now.Sub(w.edited) > 2*mostIdle
	switch {
	case connected && w.stops(now):
		w.t.Errorf("%v: runs while it is stopped", now)
	case connected && idle && (w.policy.OnIdle == IdleClose || w.policy.OnIdle == IdleAsk && w.closing):
		w.t.Errorf("%v: runs without a claim", now)
	case !connected && w.wants(now) && !w.stops(now) && now.Sub(w.touched) > longest && now.Sub(w.outage) > longest &&
		w.opened(now):
		w.t.Errorf("%v: is wanted and does not run", now)
	}
	if st := w.path.State(); w.wants(now) && !w.stops(now) && st.Phase == supervise.Reconnecting &&
		time.Until(st.NextRetry) > longest {
		w.t.Errorf("%v: tries again at %v only", now, st.NextRetry)
	}
}

// opened tells whether the camera has been wanted for long enough. mu is held.
func (w *world) opened(now time.Time) bool {
	for _, d := range []time.Duration{0, longest / 2, longest} { // windows are minutes long
		if !w.wants(now.Add(-d)) {
			return false
		}
	}
	return w.until.IsZero() || now.Sub(w.until) > longest
}

// act does something at random.
func (w *world) act(r *Relay) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.touched = now
	switch n := w.rnd.IntN(100); {
	case n < 60:
		kind := []ClaimKind{ClaimViewer, ClaimViewer, ClaimPush, ClaimKeepalive}[w.rnd.IntN(4)]
		w.claim(kind, w.upTo([]time.Duration{time.Minute, 20 * time.Minute, 5 * time.Hour}[w.rnd.IntN(3)]))
	case n < 75:
		w.outage = now.Add(w.upTo([]time.Duration{time.Second, time.Minute, 20 * time.Minute}[w.rnd.IntN(3)]))
		if w.line != nil {
			w.line(media.Fail(media.ClassNetwork, errors.New("the camera has gone")))
		}
	case n < 83:
		off := []time.Duration{0, -1, 1 + w.upTo(time.Minute), 1 + w.upTo(2*time.Hour)}[w.rnd.IntN(4)]
		w.stopped, w.until, w.yields, w.edited = true, time.Time{}, off == 0, now
		if off > 0 {
			w.until = now.Add(off)
		}
		w.path.Stop("test", off)
	case n < 93:
		w.stopped, w.edited = false, now
		w.path.Start("test")
	case n < 97:
		w.policy, w.edited, w.held = w.anyPolicy(), now, now
		r.Put("gate", w.policy)
	}
}

// claim makes a claim that ends by itself. mu is held.
func (w *world) claim(kind ClaimKind, lasts time.Duration) {
	resumes := kind == ClaimKeepalive && w.chance(50)
	if w.stopped && (resumes || w.yields) {
		w.stopped = false
	}
	w.next++
	id := w.next
	w.claims[id], w.closing = true, false
	release := w.path.Claim(Claim{Kind: kind, By: "test", Starts: true, Holds: true, Resumes: resumes})
	time.AfterFunc(lasts, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.claims, id)
		w.held = time.Now()
		release()
	})
}
