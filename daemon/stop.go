package daemon

import (
	"context"
	"errors"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
)

// end ends a session for people and hooks. A camera or a push stays stopped for
// holdOff, or until it is wanted again if that is 0; a keepalive keeps away for
// holdOff; a viewer may come back. It tells whether the session was there and
// nobody else has ended it before.
func (d *daemon) end(s *session.Session, by, reason string, holdOff time.Duration) bool {
	if !s.KickFor(by, reason, holdOff) {
		return false
	}
	switch s.Kind {
	case session.Pull:
		if path := d.relay.Path(s.Path); path != nil {
			path.Stop(by, holdOff)
		}
	case session.Push:
		// It may have been removed meanwhile, and is then stopped for good.
		_ = d.pushes.Stop(s.Push, by, holdOff)
	case session.Viewer, session.Keepalive:
	}
	return true
}

// rest is what keeps a push from running. Its pushes' mu guards it.
type rest struct {
	stop    *relay.Stop   // nil: it runs
	wake    string        // why it runs again
	changed chan struct{} // of stop; has room for one
	cancel  context.CancelCauseFunc
}

// errStopped is why a push ends that is stopped.
var errStopped = errors.New("the push is stopped")

// Stop implements api.PushControl.
func (p *pushes) Stop(name, by string, holdOff time.Duration) error {
	p.mu.Lock()
	m := p.known[name]
	if m == nil {
		p.mu.Unlock()
		return api.ErrNoPush
	}
	if holdOff != 0 {
		p.halt(m, by, holdOff)
	}
	cancel := m.cancel
	p.mu.Unlock()
	kind := session.Push
	running, _ := p.sessions.Find(session.Filter{Kind: &kind})
	for _, s := range running {
		if s.Push == name {
			s.Kick(by, errStopped.Error())
		}
	}
	if holdOff != 0 && cancel != nil {
		cancel(errStopped)
	}
	return nil
}

// halt makes a push rest. mu is held.
func (p *pushes) halt(m *push, by string, holdOff time.Duration) {
	now := time.Now()
	m.stop = &relay.Stop{By: by, At: now}
	if holdOff > 0 {
		m.stop.Until = now.Add(holdOff)
	}
	m.state = m.state.To(supervise.Stopped, m.stop.String(), now)
	m.state.Attempt, m.state.NextRetry = 0, m.stop.Until
	p.announce(m, m.stop.String())
	m.tell()
	p.log.Info("push stopped", "push", m.name, "reason", m.stop.String())
}

// restUnlessStopped makes a push rest whose session somebody has ended other than
// by Stop. kept is done once it was stopped, also if it was started since.
func (p *pushes) restUnlessStopped(kept context.Context, m *push, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	holdOff := time.Duration(p.holdOff.Load())
	if kept.Err() == nil && m.stop == nil && holdOff != 0 {
		p.halt(m, by, holdOff)
		m.cancel(errStopped)
	}
}

// tell wakes awaitStart. pushes.mu is held.
func (r *rest) tell() {
	select {
	case r.changed <- struct{}{}:
	default: // it has been told
	}
}

// Start implements api.PushControl.
func (p *pushes) Start(name, by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.known[name]
	switch {
	case m == nil:
		return api.ErrNoPush
	case m.stop != nil:
		p.resume(m, "started by "+by)
		m.tell()
	case m.state.Phase == supervise.Failed:
		m.again()
	default:
		return api.ErrRuns
	}
	return nil
}

// resume ends a rest. mu is held.
func (p *pushes) resume(m *push, why string) {
	m.stop, m.wake = nil, why
	m.state = m.state.To(supervise.Starting, why, time.Now())
	m.state.NextRetry = time.Time{}
	p.announce(m, why)
}

// announce tells the observer what somebody has made of a push. mu is held.
func (p *pushes) announce(m *push, why string) {
	p.tell(m, string(m.state.Phase), why)
}

// Retry implements api.PushControl.
func (p *pushes) Retry(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.known[name]
	switch {
	case m == nil:
		return api.ErrNoPush
	case m.stop != nil:
		return api.ErrStopped
	}
	m.again()
	return nil
}

// again makes a push try at once that has failed or waits.
func (m *push) again() {
	select {
	case m.retry <- struct{}{}:
	default: // it has been told
	}
}

// awaitStart waits until a push may run and returns why it does, empty if it was
// never stopped, or ctx's error.
func (p *pushes) awaitStart(ctx context.Context, m *push) (why string, err error) {
	for {
		p.mu.Lock()
		now := time.Now()
		if m.stop != nil && !m.stop.Until.IsZero() && !now.Before(m.stop.Until) {
			p.resume(m, "the hold-off of "+m.stop.By+" is over")
		}
		if m.stop == nil {
			why, m.wake = m.wake, ""
			p.mu.Unlock()
			return why, ctx.Err()
		}
		pause := time.Hour
		if !m.stop.Until.IsZero() {
			pause = m.stop.Until.Sub(now)
		}
		p.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-m.changed:
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		}
		timer.Stop()
	}
}

// begin notes how a push is ended that begins to run, and returns the state it
// goes on from; ok is false if it has been stopped meanwhile.
func (p *pushes) begin(m *push, cancel context.CancelCauseFunc) (last supervise.State, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.cancel = cancel
	last = m.state
	last.NextRetry = time.Time{}
	return last, m.stop == nil
}
