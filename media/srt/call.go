//go:build cgo

package srt

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

const (
	// maxHold is how long a caller may hold up what the others send, and
	// minHold how long it may when callers have done so for more than one part
	// in holdShare of the time. A handshake that gets no answer ends by itself,
	// one that is answered is over: there is no asking back later.
	maxHold, minHold = 25 * time.Millisecond, time.Millisecond
	holdShare        = 10
	// remembered is how long a refusal is kept that came too late to be told,
	// and maxRefusals how many are.
	remembered  = 3 * time.Second
	maxRefusals = 256
	// handshake is how long the rest of a handshake may take, which is nothing
	// but work for libsrt, and handshakeLook how often it is looked after.
	handshake, handshakeLook = 3 * time.Second, 100 * time.Millisecond
)

// call is one caller, from its first word to its last.
type call struct {
	caller
	verdict chan int    // has room for the one: why it is refused, or 0
	decided atomic.Bool // whoever sets it has decided: the verdict, or libsrt's thread to let it through
	link    chan *link  // has room for the one
}

// decision returns the verdict if there is one soon, else 0.
func (c *call) decision(soon time.Duration) (reason int) {
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case reason = <-c.verdict:
	case <-timer.C:
		if !c.decided.CompareAndSwap(false, true) {
			reason = <-c.verdict
		}
	}
	return reason
}

// tell makes reason the verdict, unless the caller has been let through.
func (c *call) tell(reason int) bool {
	told := c.decided.CompareAndSwap(false, true)
	if told {
		c.verdict <- reason
	}
	return told
}

// connected waits for the end of the handshake and returns the connection, nil
// if there is none.
func (c *call) connected(ctx context.Context) *link {
	tick := time.NewTicker(handshakeLook)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case l := <-c.link:
			return l
		case <-tick.C:
			if dead(c.id) || time.Since(began) > handshake {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// mistrust returns why a caller is not connected, nil if the server stops. libsrt
// keeps no reason on this side: for who is gone as soon as the handshake was
// answered it is the passphrase.
func (c *call) mistrust(ctx context.Context, passphrase error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case dead(c.id):
		return media.Fail(media.ClassCredentials, passphrase)
	}
	return errHandshake
}

// asked is what a refusal is remembered for.
type asked struct {
	addr     netip.Addr
	streamID string
}

type refusal struct {
	err   error
	until time.Time
}

func (c *caller) asked() asked { return asked{c.remote.Addr(), c.streamID} }

// allowance is the time that callers may still hold up the others.
type allowance struct {
	left time.Duration
	asOf time.Time
}

func (a *allowance) take(now time.Time) time.Duration {
	a.left = min(a.left+now.Sub(a.asOf)/holdShare, maxHold)
	a.asOf = now
	return max(a.left, minHold)
}

func (a *allowance) spend(d time.Duration) { a.left -= d }

// serve is a call: it asks for the stream and sends it.
func (s *Server) serve(ctx context.Context, c *call, req hub.Request) {
	defer s.serving.Done()
	defer s.leave(c)
	var l *link
	if s.guarded() {
		if l = c.connected(ctx); l == nil {
			if err := c.mistrust(ctx, errPassphrase); err != nil {
				s.refuse(c.caller, err)
				s.cfg.Refused(req, err)
			}
			return
		}
		defer l.close()
	}
	sub, err := s.subscribe(ctx, req)
	told := !s.guarded() && c.tell(reasonFor(err))
	if err != nil {
		s.refuse(c.caller, err)
		if errors.Is(err, errUncarried) {
			s.cfg.Refused(req, err)
		}
		if told {
			return
		}
		s.remember(c.caller, err)
	}
	if l == nil {
		if l = c.connected(ctx); l != nil {
			defer l.close()
		} else if err == nil {
			err = cmp.Or(c.mistrust(ctx, errEncrypted), errShutdown)
		}
	}
	if err == nil {
		err = s.view(ctx, l, sub)
	}
	if sub != nil {
		sub.Close(err)
	}
}

// subscribe asks for a stream that can be sent.
func (s *Server) subscribe(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	sub, err := s.open(ctx, req)
	if err != nil {
		return nil, err
	}
	if !carried(sub.Stream) {
		sub.Close(errUncarried)
		return nil, errUncarried
	}
	return sub, nil
}

// view sends a stream to a viewer, from the newest key frame on, and returns why
// it ended.
func (s *Server) view(ctx context.Context, l *link, sub *hub.Subscription) error {
	shutdown := ctx
	ctx, cancel := context.WithCancelCause(sub.Context)
	defer cancel(nil)
	defer context.AfterFunc(shutdown, func() { cancel(errShutdown) })()
	s.counts.readers.Add(1)
	defer s.counts.readers.Add(-1)
	soon, done := context.WithTimeoutCause(ctx, s.cfg.Timeout, hub.ErrUnavailable)
	defer done()
	r, release, err := attach(soon, sub.Stream)
	if err != nil {
		return ended(soon, err)
	}
	defer release()
	w := newSender(l, "the viewer", s.cfg.Timeout, func(bytes, _ int, lost uint64) {
		sub.Sent.Add(uint64(bytes))
		s.counts.lost.Add(lost)
	})
	err = w.run(ctx, r)
	w.report(w.bytes, w.units, w.lost)
	if errors.Is(err, errStalled) {
		s.counts.slow.Add(1)
	}
	return ended(ctx, err)
}
