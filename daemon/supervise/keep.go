package supervise

import (
	"context"
	"errors"
	"log/slog"
	"sync"
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
	// Terms is asked each time one of them matters, so that they may change
	// while a run goes on. It must not block. nil: the zero Terms.
	Terms func() Terms
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
	// Await blocks before each attempt until a run could do something, and
	// calls waiting whenever it finds another reason why it could not. Its
	// error, unless it is that of ctx, is as that of a run. May be nil.
	Await func(ctx context.Context, waiting func(why string)) error
	// Dials bounds how many runs start at the same time; nil: no bound.
	Dials *Limiter
	// Pace spreads the starts of many runs; nil: they start when they want.
	Pace *Pace
	// Silent tells why no media moves. With it an active run that has moved
	// none for 5 to 10 s is Starting until it does. May be nil.
	Silent func() string
	// Last is the state to go on from: its history is kept, and its NextRetry
	// is waited for, so that stopping and starting does not get round the
	// backoff. The zero State begins anew.
	Last State
	// Log gets the stack of a run that panics; nil: nothing is logged.
	Log *slog.Logger
}

// Terms is what may change of a Policy.
type Terms struct {
	Limit    int           // attempts in a row before the run has failed, 0 for no limit
	Longest  time.Duration // last ceiling of the backoff; 0: 60 s
	Priority int           // the greater the earlier its turn in Pace
}

// keeper is one call of Keep. It is used by one goroutine.
type keeper struct {
	Policy
	state  State
	rungs  int // failures in a row for the backoff
	report func(State)
	heard  func() // of Pace, for the run under way
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
	if p.Terms == nil {
		p.Terms = func() Terms { return Terms{} }
	}
	k := &keeper{Policy: p, state: p.Last, rungs: p.Last.Attempt, report: report, run: run}
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
		k.forgive()
	}
	if k.state.Phase == Stopped {
		k.to(Starting, resumed(kicked))
	}
	k.state.NextRetry = time.Time{}
	if err := k.await(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		k.state.Attempt++
		return k.ended(ctx, err)
	}
	k.state.Attempt++
	k.state.Waiting = ""
	k.report(k.state)
	release, err := k.Dials.acquire(ctx)
	if err != nil {
		k.heard()
		return err
	}
	err = k.session(ctx, release)
	k.heard()
	k.state.Connected, k.state.Waiting = time.Time{}, ""
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return k.ended(ctx, err)
}

// await waits until a run could do something and it is its turn.
func (k *keeper) await(ctx context.Context) error {
	waiting := func(why string) {
		if k.state.Waiting != why {
			k.state.Waiting = why
			k.report(k.state)
		}
	}
	if k.Await != nil {
		if err := k.Await(ctx, waiting); err != nil {
			return err
		}
	}
	var unheard time.Time
	if k.state.outOfReach() {
		unheard = k.state.Errors[0].At
		waiting("waits for its turn to look whether the uplink is back")
	}
	var err error
	if k.heard, err = k.Pace.Await(ctx, k.Terms().Priority, unheard); err != nil {
		return err
	}
	select { // it is tried now, which is what a retry asks for
	case <-k.Retry:
	default:
	}
	return ctx.Err()
}

// forgive lets the counts of failures begin again.
func (k *keeper) forgive() { k.state.Attempt, k.rungs = 0, 0 }

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
	k.climb(err)
	k.state = k.state.failed(err, now)
	terms := k.Terms()
	if terms.Limit > 0 && k.state.Attempt >= terms.Limit {
		k.to(Failed, k.state.Reason)
		select {
		case <-k.Retry:
			k.forgive()
			k.to(Starting, "retry")
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k.state.NextRetry = now.Add(Backoff(k.rungs, k.state.Class, terms.Longest, random))
	if k.state.Phase == Reconnecting {
		k.report(k.state)
		return nil
	}
	k.to(Reconnecting, k.state.Reason)
	return nil
}

// climb counts a failure for the backoff. Whoever was not heard has been no
// burden: the first failures after an outage of the uplink are followed by
// short pauses.
func (k *keeper) climb(err error) {
	unreachable := media.ClassOf(err) == media.ClassUnreachable
	if was := k.state.outOfReach(); was != unreachable {
		k.rungs = 0
		if was {
			k.Pace.Returned()
		}
	}
	k.rungs++
	if e, ok := errors.AsType[*ElsewhereError](err); ok {
		k.rungs = e.Failures
	}
}

// to changes the phase and reports.
func (k *keeper) to(phase Phase, reason string) {
	k.state = k.state.To(phase, reason, time.Now())
	k.report(k.state)
}

// worthAsking is how long a pause is that Returned may cut short.
const worthAsking = 2 * time.Second

// pause waits for d, for a retry or for the peer's return, and tells whether
// failures are to be forgotten.
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
	var uplink <-chan struct{}
	if k.state.outOfReach() {
		uplink = k.Pace.returned()
	}
	err = sleep(ctx, d, k.Retry, back, uplink)
	if errors.Is(err, errHurried) {
		return false, nil
	}
	if errors.Is(err, errKicked) {
		return true, nil
	}
	return false, err
}

// Why a sleep ends early.
var (
	errKicked  = errors.New("kicked")
	errHurried = errors.New("hurried")
)

// sleep waits for d and returns nil, for one of the kicks and returns
// errKicked, for hurry and returns errHurried, or for ctx and returns its error.
func sleep(ctx context.Context, d time.Duration, kick, another, hurry <-chan struct{}) error {
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
	case <-hurry:
		return errHurried
	case <-ctx.Done():
		return ctx.Err()
	}
}
