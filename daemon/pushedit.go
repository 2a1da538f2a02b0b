package daemon

import (
	"errors"
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
	for _, path := range p.relay.Paths() { // of the API, too
		if _, ok := cameras[path.Name()]; !ok && cameras != nil {
			cameras[path.Name()] = config.Camera{Audio: config.AudioAuto}
		}
	}
	push, err := p.newcomer(name, text, cameras)
	if err != nil {
		return err
	}
	p.added[name] = pushOf(push, "", p.version)
	p.settle()
	p.log.Info("push added", "push", name, "cam", push.Camera)
	p.tell(p.known[name], "added", "")
	return nil
}

// Keep implements api.PushControl. What lasts is of a camera that lasts: one of the
// files.
func (p *pushes) Keep(name string, text []byte) (file string, err error) {
	p.mu.Lock()
	_, err = p.newcomer(name, text, p.cameras)
	p.mu.Unlock() // the disk may be slow
	if err != nil {
		return "", err
	}
	err = p.machine.edit(func(k *kept) error {
		if _, ok := k.Pushes[name]; ok {
			return fmt.Errorf("%w in %s", api.ErrPushExists, p.machine.path())
		}
		k.Pushes[name] = text
		return nil
	})
	if err == nil {
		p.log.Info("push kept", "push", name, "file", p.machine.path())
	}
	return p.machine.path(), err
}

// newcomer checks a push of one of the cameras that is to be added. mu is held.
func (p *pushes) newcomer(name string, text []byte, cameras map[string]config.Camera) (push config.Push, err error) {
	if push, err = (&config.Config{Cameras: cameras}).ParsePush(name, text); err != nil {
		return push, err
	}
	if plan, ok := p.planned[name]; ok {
		return push, fmt.Errorf("%w in %s", api.ErrPushExists, plan.terms.file)
	}
	if _, ok := p.added[name]; ok {
		return push, api.ErrPushExists
	}
	if p.closed {
		return push, errClosed
	}
	return push, nil
}

// Remove implements api.PushControl.
func (p *pushes) Remove(name, by string) error {
	kept := p.forget(name)
	if kept != nil && !errors.Is(kept, errNotKept) {
		return kept
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, added := p.added[name] // also in the place of one that is kept and left out
	plan, planned := p.planned[name]
	switch {
	case added:
		p.drop(name, "removed by "+by)
		p.settle()
	case kept == nil:
	case planned:
		return &api.OwnedError{File: plan.terms.file}
	default:
		return api.ErrNoPush
	}
	return nil
}

// errNotKept is the error of forget for a push that the machine's file has not.
var errNotKept = errors.New("not kept")

// forget takes a push out of the machine's file, unless another file's is used.
func (p *pushes) forget(name string) error {
	p.mu.Lock()
	plan, ok := p.planned[name]
	p.mu.Unlock()
	if ok && plan.terms.file != p.machine.path() {
		return errNotKept
	}
	return p.machine.edit(func(k *kept) error {
		if _, ok := k.Pushes[name]; !ok {
			return errNotKept
		}
		delete(k.Pushes, name)
		return nil
	})
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
