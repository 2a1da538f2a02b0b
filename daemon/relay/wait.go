package relay

import (
	"context"
	"errors"
	"time"

	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// AwaitMedia waits until the camera is active and its tracks are described. It
// returns hub.ErrEnded if the path is removed meanwhile.
func (p *Path) AwaitMedia(ctx context.Context) error {
	for {
		r := p.readiness()
		switch {
		case r.ready:
			return nil
		case p.stream.Closed():
			return hub.ErrEnded
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// waitReady is AwaitMedia for viewers, as long as the policy's StartTimeout, and
// no longer than there is hope. A camera that is active but whose parameter
// sets are still missing then has to do.
func (p *Path) waitReady(ctx context.Context) error {
	p.hurry(time.Now())
	limited, cancel := context.WithTimeout(ctx, p.Policy().StartTimeout)
	defer cancel()
	for {
		r := p.readiness()
		switch {
		case r.ready:
			return nil
		case p.stream.Closed():
			return hub.ErrNotFound
		case r.hopeless != "":
			return unavailable(r.hopeless)
		}
		switch err := r.wait(limited); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case p.readiness().usable:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return unavailable(p.State().Reason)
		}
	}
}

// readiness is how far a camera is, and what changes when it gets further.
type readiness struct {
	ready, usable bool
	hopeless      string // why waiting is in vain; empty: it may help
	state, tracks <-chan struct{}
}

func (p *Path) readiness() readiness {
	tracks, tracksChanged := p.stream.Tracks()
	p.mu.Lock()
	defer p.mu.Unlock()
	usable := p.state.Phase == supervise.Active && len(tracks) > 0
	return readiness{
		ready: usable && hub.Ready(tracks), usable: usable, hopeless: p.hopeless(time.Now()),
		state: p.changed, tracks: tracksChanged,
	}
}

// hopeless returns why it is in vain to wait for the camera, empty if it is
// not: it is stopped, or its last attempt has failed in a way that does not
// heal by itself in a moment. mu is held.
func (p *Path) hopeless(now time.Time) string {
	st := p.state
	switch {
	case p.stop != nil:
		return p.stop.String()
	case len(st.Errors) == 0 || st.Errors[0].At.Before(p.hurried):
		return ""
	case st.Phase != supervise.Failed && !st.NextRetry.After(now):
		return "" // an attempt is under way
	}
	switch st.Errors[0].Class {
	case media.ClassRefused, media.ClassCredentials, media.ClassUnsupported:
		return st.Errors[0].Message
	case media.ClassNetwork, media.ClassBusy:
	}
	return ""
}

// patience is how old a refusal must be to be tried again for a new viewer.
const patience = 5 * time.Second

// hurry makes the camera try at once for a new viewer if it was not there last
// time. One that has refused a password is left alone: it counts.
func (p *Path) hurry(now time.Time) {
	p.mu.Lock()
	st := p.state
	stale := len(st.Errors) > 0 && now.Sub(st.Errors[0].At) >= patience && now.Sub(p.hurried) >= patience
	p.mu.Unlock()
	if stale && st.NextRetry.After(now) && (st.Class == media.ClassRefused || st.Class == media.ClassNetwork) {
		p.Retry()
	}
}

func (r readiness) wait(ctx context.Context) error {
	select {
	case <-r.state:
	case <-r.tracks:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
