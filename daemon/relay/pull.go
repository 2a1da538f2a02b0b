package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"camrelay/daemon/supervise"
)

// ErrExpired is why Pull ends when a runtime path was not wanted any more. The
// path is not the relay's then.
var ErrExpired = errors.New("nobody wants the path any more")

// idleError ends a connection; its text is the reason.
type idleError struct{ reason string }

func (e idleError) Error() string { return e.reason }

// Pull keeps the camera running while the ledger demands it, and returns when
// ctx is done, with its error, or with ErrExpired. run is one connection of the
// camera that writes to the path's stream; it is restarted as policy says.
func (p *Path) Pull(ctx context.Context, policy supervise.Policy,
	run func(ctx context.Context, active func()) error,
) error {
	p.begin()
	if policy.Retry == nil {
		policy.Retry = p.retry
	}
	for {
		why, err := p.awaitStart(ctx)
		if err != nil {
			return err
		}
		p.log.Info("camera wanted", "reason", why)
		policy.Why = why
		reason := p.keep(ctx, policy, run)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.report(p.State().To(supervise.Idle, reason, time.Now()))
		p.log.Info("camera closed", "reason", reason)
	}
}

// begin forgets the backoff of the time before: the camera's settings have changed.
func (p *Path) begin() {
	st := p.State().To(supervise.Idle, "its settings have changed", time.Now())
	st.Attempt, st.NextRetry = 0, time.Time{}
	p.report(st)
}

// keep runs the camera until it is to be closed, and returns why.
func (p *Path) keep(ctx context.Context, policy supervise.Policy,
	run func(ctx context.Context, active func()) error,
) (reason string) {
	ctx, end := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { end(p.watch(ctx)) })
	policy.Last = p.State()
	// Its only error is that of ctx.
	_ = supervise.Keep(ctx, policy, p.report, func(ctx context.Context, active func()) error {
		p.stream.Forget()
		return run(ctx, active)
	})
	end(nil)
	wg.Wait()
	p.ended()
	return context.Cause(ctx).Error()
}

// awaitStart waits until the camera is to run, and returns why.
func (p *Path) awaitStart(ctx context.Context) (why string, err error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		d := p.reviewIdle(time.Now())
		switch {
		case d.start:
			return d.reason, nil
		case d.expired && p.relay.retire(p):
			return "", ErrExpired
		}
		if d.resumed != "" {
			p.report(p.State().To(supervise.Idle, d.resumed, time.Now()))
		}
		if err := d.wait(ctx, timer); err != nil {
			return "", err
		}
	}
}

// review is what the ledger says is to be done now.
type review struct {
	start   bool // the camera is to run
	expired bool // the path is to go
	resumed string
	close   bool          // the camera is to be closed
	ask     bool          // the hook is to be asked
	reason  string        // of start and close
	next    time.Duration // when to look again if nothing changes
	changed chan struct{}
}

// wait returns when it is time to look again, or with ctx's error.
func (r review) wait(ctx context.Context, timer *time.Timer) error {
	timer.Reset(r.next)
	select {
	case <-timer.C:
	case <-r.changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// by makes the review look again at t, unless t is zero.
func (r *review) by(t, now time.Time) {
	if !t.IsZero() {
		r.next = min(r.next, max(0, t.Sub(now)))
	}
}

// settled brings the ledger up to now and begins a review. mu is held.
func (p *Path) settled(now time.Time) review {
	if p.settle(now) {
		p.notify()
	}
	r := review{next: 1e6 * time.Hour, changed: p.changed}
	r.by(p.lookAt, now)
	if p.stop != nil {
		r.by(p.stop.Until, now)
	}
	return r
}

// reviewIdle is the review of a camera that does not run.
func (p *Path) reviewIdle(now time.Time) review {
	p.mu.Lock()
	defer p.unlock()
	r := p.settled(now)
	woken := p.wake
	if p.wake = ""; woken != "" {
		p.event(Event{Type: CameraStarted, At: now, Reason: woken})
	}
	c, starts := p.starts()
	switch {
	case starts:
		r.start, r.reason = true, woken
		if woken == "" {
			r.reason = "wanted by " + c.By
		}
		p.running, p.wanted, p.halt, p.held = true, now, "", now
	case p.stop == nil && p.state.Phase == supervise.Stopped:
		r.resumed = woken + ", " + nobody
	}
	if end, ok := p.expiry(); ok {
		r.expired = !now.Before(end)
		r.by(end, now)
	}
	return r
}

// expiry returns when a runtime path goes that nobody wants, if nobody does and it
// has not gone already. One that is stopped for a while stays for so long at least:
// who adds it again must not get round that. mu is held.
func (p *Path) expiry() (end time.Time, ok bool) {
	wanted := p.any(func(c Claim) bool { return c.Starts })
	if p.gone || wanted || !p.policy.Runtime || p.stop != nil && !p.stop.Until.IsZero() {
		return end, false
	}
	last := p.born
	if p.held.After(last) {
		last = p.held
	}
	if p.stop != nil && p.stop.At.After(last) {
		last = p.stop.At
	}
	return last.Add(p.policy.IdleAfter), true
}

// expire makes the path nobody's if its time has come, and says whether it has.
// The caller tells.
func (p *Path) expire(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end, ok := p.expiry(); !ok || now.Before(end) {
		return false
	}
	p.end(nobody, now)
	p.event(Event{Type: PathExpired, At: now, Reason: nobody})
	return true
}

// watch does what time and claims do to a camera that runs, and returns why it
// is to be closed, or ctx's error.
func (p *Path) watch(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before wg.Wait: the hook may be slow
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r := p.reviewRunning(time.Now())
		switch {
		case r.close:
			return idleError{r.reason}
		case r.ask:
			wg.Go(func() { p.askReaders(ctx) })
		}
		if err := r.wait(ctx, timer); err != nil {
			return err
		}
	}
}

// reviewRunning is the review of a camera that runs.
func (p *Path) reviewRunning(now time.Time) review {
	p.mu.Lock()
	defer p.unlock()
	r := p.settled(now)
	if p.halt != "" {
		r.close, r.reason = true, p.halt
		return r
	}
	if !p.unread.IsZero() {
		if due := p.unread.Add(p.policy.IdleAfter); now.Before(due) {
			r.by(due, now)
		} else {
			p.noneReader(now)
			p.unread = time.Time{}
		}
	}
	if p.holds() {
		p.asked, p.asks = time.Time{}, 0
		p.drop(idleClaim, now)
		return r
	}
	if due := p.due(); now.Before(due) {
		r.by(due, now)
		return r
	}
	switch p.policy.OnIdle {
	case IdleKeep:
		p.claims[idleClaim] = Claim{Kind: ClaimConfig, By: "on_idle: keep", Holds: true, Since: now}
	case IdleAsk:
		if !p.asking {
			p.claims[idleClaim] = Claim{Kind: ClaimHook, By: "on_none_reader, until it says close", Holds: true, Since: now}
			p.asking, r.ask = true, true
		}
	default:
		r.close, r.reason = true, nobody
	}
	return r
}

// leastAsk is the shortest time between two questions.
const leastAsk = time.Second

// due returns when something is done about a camera that nobody holds. mu is held.
func (p *Path) due() time.Time {
	if p.policy.OnIdle == IdleAsk && p.asked.After(p.held) {
		return p.asked.Add(max(p.policy.IdleAfter, leastAsk))
	}
	return p.held.Add(p.policy.IdleAfter)
}

// noneReader notes that the last reader has gone. mu is held.
func (p *Path) noneReader(now time.Time) {
	ev := Event{
		Type: NoneReader, At: now, Reason: "nobody reads it", Since: p.unread, Bytes: p.stream.Meter.Stats(now).Bytes,
	}
	for _, c := range p.list() {
		if c.Holds {
			ev.Held = append(ev.Held, c)
		}
	}
	p.event(ev)
}

// askReaders asks the hook whether the camera is to be closed, and does as it says.
func (p *Path) askReaders(ctx context.Context) {
	p.mu.Lock()
	held := p.held
	idle := Idle{Path: p.name, Since: held, Asked: p.asks, Policy: p.policy}
	p.mu.Unlock()
	idle.Bytes = p.stream.Meter.Stats(time.Now()).Bytes
	closeIt, err := false, ErrNoHook
	if p.relay.Hooks != nil {
		closeIt, err = p.relay.Hooks.NoneReader(ctx, idle)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Warn("the hook on_none_reader has not decided, it will be asked again", "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking, p.asked = false, time.Now()
	p.asks++
	if closeIt && err == nil && p.held.Equal(held) && !p.holds() {
		p.halt = "the hook on_none_reader says close"
	}
	p.notify()
}

// ended notes that the camera does not run any more.
func (p *Path) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.asking, p.asked, p.asks, p.unread = false, false, time.Time{}, 0, time.Time{}
	p.drop(idleClaim, time.Now())
	p.notify()
}
