package daemon

import (
	"fmt"
	"maps"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
)

// amend lets a push that is known go on under what is wanted now. mu is held.
func (p *pushes) amend(m *push, plan pushPlan) {
	was := m.terms
	m.terms = plan.terms
	if was == m.terms || plan.spec != m.spec {
		return // it is as it was, or begins anew
	}
	if was.demand != m.terms.demand && m.release != nil {
		release := m.release
		m.release = nil
		m.holdCamera()
		release()
	}
	if m.backup && was.backup != m.terms.backup && m.end != nil {
		m.end(errEdited)
	}
	// Nobody waits longer than the new terms say, or has failed by the old ones.
	late := m.terms.retry > 0 && time.Until(m.state.NextRetry) > m.terms.retry && m.state.NextRetry.After(time.Now())
	if m.stop == nil && (m.state.Phase == supervise.Failed || late && was.retry != m.terms.retry) {
		m.again()
	}
	p.log.Info("push edited, it goes on", "push", m.name)
}

// claim enters the push into the ledger of its camera.
func (p *pushes) claim(m *push, path *relay.Path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.claimed = path
	m.holdCamera()
}

// holdCamera makes the claim of a push follow its state: one that has failed
// wants nothing. mu is held.
func (m *push) holdCamera() {
	switch failed := m.state.Phase == supervise.Failed; {
	case m.claimed != nil && m.release == nil && !failed:
		m.release = m.claimed.Claim(relay.Claim{
			ID: m.name, Kind: relay.ClaimPush, By: m.name, Starts: m.terms.demand, Holds: m.terms.demand,
		})
	case m.release != nil && failed:
		m.release()
		m.release = nil
	}
}

// unclaim takes the push out of the ledger.
func (p *pushes) unclaim(m *push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.release != nil {
		m.release()
	}
	m.claimed, m.release = nil, nil
}

// detailsOf returns the terms of a push as they are now.
func (p *pushes) detailsOf(m *push) pushTerms {
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.terms
}

// termsOf is detailsOf for supervise.
func (p *pushes) termsOf(m *push) supervise.Terms {
	t := p.detailsOf(m)
	return supervise.Terms{Limit: t.limit, Longest: t.retry, Priority: t.priority}
}

// Add implements api.PushControl.
func (p *pushes) Add(name string, text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cameras := maps.Clone(p.cameras)
	for _, path := range p.relay.Paths() {
		if _, ok := cameras[path.Name()]; !ok && cameras != nil {
			cameras[path.Name()] = config.Camera{Audio: config.AudioAuto}
		}
	}
	push, err := (&config.Config{Cameras: cameras}).ParsePush(name, text)
	if err != nil {
		return err
	}
	if plan, ok := p.planned[name]; ok {
		return fmt.Errorf("%w in %s", api.ErrPushExists, plan.terms.file)
	}
	if _, ok := p.added[name]; ok {
		return api.ErrPushExists
	}
	if p.closed {
		return errClosed
	}
	p.added[name] = pushOf(push, "", p.version)
	p.settle()
	p.log.Info("push added", "push", name, "cam", push.Camera)
	p.tell(p.known[name], "added", "")
	return nil
}

// Remove implements api.PushControl.
func (p *pushes) Remove(name, by string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan, ok := p.planned[name]; ok {
		return &api.OwnedError{File: plan.terms.file}
	}
	if _, ok := p.added[name]; !ok {
		return api.ErrNoPush
	}
	p.drop(name, "removed by "+by)
	p.settle()
	return nil
}

// cameraGone removes the pushes of the API whose camera is gone.
func (p *pushes) cameraGone(camera string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, plan := range p.added {
		if plan.spec.camera == camera {
			p.drop(name, "its camera is gone")
		}
	}
	p.settle()
}
