package relay

import (
	"context"
	"errors"
	"fmt"
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
		if err := r.wait(ctx, nil); err != nil {
			return err
		}
	}
}

// waitReady is AwaitMedia for viewers, as long as the policy's StartTimeout, and
// no longer than there is hope. A camera that is active but whose parameter
// sets are still missing then has to do. A pause between attempts may be longer
// than the timeout, so it is cut short for those who wait.
func (p *Path) waitReady(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, p.Policy().StartTimeout)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		p.hurry(time.Now())
		r := p.readiness()
		switch {
		case r.ready:
			return nil
		case p.stream.Closed():
			return hub.ErrNotFound
		case r.hopeless != nil:
			return r.hopeless
		}
		switch err := r.wait(limited, again.C); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case p.readiness().usable:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return p.late()
		}
	}
}

// readiness is how far a camera is, and what changes when it gets further.
type readiness struct {
	ready, usable bool
	hopeless      error // why waiting is in vain; nil: it may help
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

// hopeless returns why it is in vain to wait for the camera, nil if it is not:
// it is stopped, or its last attempt has failed in a way that does not heal by
// itself in a moment. mu is held.
func (p *Path) hopeless(now time.Time) error {
	st := p.state
	switch {
	case p.stop != nil:
		return fmt.Errorf("%w (%v)", hub.Refuse(hub.ErrUnavailable, p.stop.plainly()), p.stop)
	case len(st.Errors) == 0 || st.Errors[0].At.Before(p.hurried):
		return nil
	case st.Phase != supervise.Failed && !st.NextRetry.After(now):
		return nil // an attempt is under way
	}
	switch st.Errors[0].Class {
	case media.ClassRefused, media.ClassCredentials, media.ClassUnsupported:
		return failed(st.Errors[0].Class, st.Errors[0].Message)
	case media.ClassNetwork, media.ClassBusy:
	}
	return nil
}

// late returns why somebody has waited in vain.
func (p *Path) late() error {
	st := p.State()
	if st.Phase == supervise.Reconnecting || st.Phase == supervise.Failed {
		return failed(st.Class, st.Reason)
	}
	limit := p.Policy().StartTimeout
	return hub.Refuse(hub.ErrUnavailable, fmt.Sprintf("the camera has delivered no picture within %v", limit))
}

// failures are what viewers are told of a camera whose connection fails: what
// it says itself may hold its address.
var failures = map[media.Class]string{
	media.ClassNetwork:     "the connection to the camera fails",
	media.ClassBusy:        "the camera has no connection free",
	media.ClassCredentials: "the camera refuses the user or password of its configuration",
	media.ClassUnsupported: "the camera delivers nothing that can be used",
	media.ClassRefused:     "the camera, or its stream, is not there",
}

// failed is the error for viewers of a camera that has failed. The reason is
// not for them.
func failed(class media.Class, reason string) error {
	return fmt.Errorf("%w (%s)", hub.Refuse(hub.ErrUnavailable, failures[class]), reason)
}

// patience is how old a failure must be for the camera to be tried again for a viewer.
const patience = 5 * time.Second

// hurry makes the camera try at once for a viewer if it was not there last time
// and that is a while ago. One that has refused a password is left alone: it counts.
func (p *Path) hurry(now time.Time) {
	p.mu.Lock()
	st := p.state
	stale := len(st.Errors) > 0 && now.Sub(st.Errors[0].At) >= patience && now.Sub(p.hurried) >= patience
	p.mu.Unlock()
	if stale && st.NextRetry.After(now) && (st.Class == media.ClassRefused || st.Class == media.ClassNetwork) {
		p.Retry()
	}
}

// wait returns when there may be news, at the latest with again, or with ctx's error.
func (r readiness) wait(ctx context.Context, again <-chan time.Time) error {
	select {
	case <-r.state:
	case <-r.tracks:
	case <-again:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
