package supervise

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
)

// stable is how long a run is active before its past failures are forgotten.
const stable = time.Minute

// errEnded is why a run ended that does not say why.
var errEnded = errors.New("ended by the peer")

// Policy says how a run is kept.
type Policy struct {
	// Why is the reason of the first transition, to Starting.
	Why string
	// Limit is the number of attempts in a row before the run has failed, 0
	// for no limit.
	Limit int
	// Retry starts the next attempt at once, also of a failed run; the count
	// of attempts begins again. It is ignored while a run is under way. A
	// buffer of one lets the sender never wait. May be nil.
	Retry <-chan struct{}
	// Returned is called while a long pause follows a failure of the network.
	// It returns true when the peer was out of reach and is there again: the
	// next attempt then starts at once and the count of attempts begins again.
	// It returns false when that cannot be told, at the latest with its
	// context. May be nil.
	Returned func(ctx context.Context) bool
	// Dials bounds how many runs start at the same time; nil: no bound.
	Dials *Limiter
	// Last is the state to go on from: its history is kept, and its NextRetry
	// is waited for, so that stopping and starting does not get round the
	// backoff. The zero State begins anew.
	Last State
	// Log gets the stack of a run that panics; nil: nothing is logged.
	Log *slog.Logger
}

// keeper is one call of Keep. It is used by one goroutine.
type keeper struct {
	Policy
	state  State
	report func(State)
	run    func(ctx context.Context, active func()) error
}

// Keep calls run again and again until ctx is done, and returns ctx's error
// once run has returned. run gets a context of its own call, calls active each
// time media has moved (cheap, from any goroutine), and returns why it ended,
// marked by media.Fail where it matters. A panic in run counts as a failure.
//
// report gets every change of the state. When ctx is done nothing is reported;
// the owner knows why and says so with State.To.
func Keep(ctx context.Context, p Policy, report func(State),
	run func(ctx context.Context, active func()) error,
) error {
	k := &keeper{Policy: p, state: p.Last, report: report, run: run}
	k.Last = State{}
	for first := true; ; first = false {
		if err := k.attempt(ctx, first); err != nil {
			return err
		}
	}
}

// attempt waits until it may, runs once and works out when to run again. Its
// only error is that of ctx.
func (k *keeper) attempt(ctx context.Context, first bool) error {
	if first {
		k.to(Starting, k.Why)
	}
	kicked, err := k.pause(ctx, time.Until(k.state.NextRetry))
	if err != nil {
		return err
	}
	if kicked {
		k.state.Attempt = 0
	}
	if k.state.Phase == Stopped {
		k.to(Starting, resumed(kicked))
	}
	k.state.NextRetry = time.Time{}
	k.state.Attempt++
	k.report(k.state)
	release, err := k.Dials.acquire(ctx)
	if err != nil {
		return err
	}
	err = k.session(ctx, release)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return k.ended(ctx, err)
}

// session runs once and returns why it ended.
func (k *keeper) session(ctx context.Context, release func()) error {
	defer release()
	activated := make(chan struct{})
	var seen atomic.Bool
	active := func() {
		// One load is all that a moving stream costs.
		if !seen.Load() && seen.CompareAndSwap(false, true) {
			close(activated)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- k.guarded(ctx, active) }()

	hold := time.NewTimer(maxHold)
	defer hold.Stop()
	forget := time.NewTimer(stable)
	defer forget.Stop()
	flowing := activated
	for {
		select {
		case <-flowing:
			flowing = nil
			release()
			forget.Reset(stable)
			k.to(Active, "media arrives")
		case <-hold.C:
			release()
		case <-forget.C:
			if flowing == nil {
				k.state.Attempt = 0
				k.report(k.state)
			}
		case <-k.Retry:
		case err := <-ended:
			if flowing != nil && seen.Load() {
				k.to(Active, "media arrives")
			}
			return err
		}
	}
}

// guarded calls run and turns a panic into an error.
func (k *keeper) guarded(ctx context.Context, active func()) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer media.Contain(&err)
	if err := k.run(ctx, active); err != nil {
		return err
	}
	return errEnded
}

// ended enters err into the state, and either sets the time of the next
// attempt or, when all are used, waits for a retry.
func (k *keeper) ended(ctx context.Context, err error) error {
	now := time.Now()
	if h, ok := errors.AsType[*HaltError](err); ok {
		k.halted(h, now)
		return nil
	}
	if p, ok := errors.AsType[*media.PanicError](err); ok {
		k.state.Panics++
		if k.Log != nil {
			k.Log.Error("internal error: a run has panicked", "err", err, "stack", string(p.Stack))
		}
	}
	k.state = k.state.failed(err, now)
	if k.Limit > 0 && k.state.Attempt >= k.Limit {
		k.to(Failed, k.state.Reason)
		select {
		case <-k.Retry:
			k.state.Attempt = 0
			k.to(Starting, "retry")
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k.state.NextRetry = now.Add(Backoff(k.state.Attempt, k.state.Class, random))
	if k.state.Phase == Reconnecting {
		k.report(k.state)
		return nil
	}
	k.to(Reconnecting, k.state.Reason)
	return nil
}

// to changes the phase and reports.
func (k *keeper) to(phase Phase, reason string) {
	k.state = k.state.To(phase, reason, time.Now())
	k.report(k.state)
}

// worthAsking is how long a pause is that Returned may cut short.
const worthAsking = 2 * time.Second

// pause waits for d, for a retry or for the peer's return, and tells whether
// it was cut short.
func (k *keeper) pause(ctx context.Context, d time.Duration) (kicked bool, err error) {
	network := k.state.Class == media.ClassNetwork || k.state.Class == media.ClassRefused
	back := make(chan struct{}, 1)
	if k.Returned != nil && network && d >= worthAsking {
		asking, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() {
			if k.Returned(asking) {
				back <- struct{}{}
			}
		})
	}
	err = sleep(ctx, d, k.Retry, back)
	if errors.Is(err, errKicked) {
		return true, nil
	}
	return false, err
}

// errKicked ends a sleep early.
var errKicked = errors.New("kicked")

// sleep waits for d and returns nil, for one of the kicks and returns
// errKicked, or for ctx and returns its error.
func sleep(ctx context.Context, d time.Duration, kick, another <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-kick:
		return errKicked
	case <-another:
		return errKicked
	case <-ctx.Done():
		return ctx.Err()
	}
}
