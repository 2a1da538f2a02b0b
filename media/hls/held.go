package hls

import (
	"errors"
	"fmt"
	"sync"

	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Bounds of the requests that are held until there is what they ask for.
const (
	maxHeld     = 4096
	maxHeldFrom = 2 * maxSessionsFrom // of the players of one address
	// maxHeldBy is of one player: it waits for a playlist and for a part, or by DASH
	// for the rest of a segment of pictures and of one of sound, and may have given up
	// as many of which nobody has heard yet.
	maxHeldBy = 4
)

// errHeldTooMany is the error of one who has too many requests held. It is answered
// with 503 and not 429, which hls.js takes for the end.
var errHeldTooMany = fmt.Errorf("%w: too many requests are held", hub.ErrUnavailable)

// hold counts a request of the session that is held until release. Players that
// show all the same are one session, so only their address is bounded.
func (s *Server) hold(ss *session) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss.alone && ss.held >= maxHeldBy {
		return nil, errHeldTooMany
	}
	leave, err := s.held.Take(ss.from)
	switch {
	case errors.Is(err, accept.ErrFromOne):
		return nil, errHeldTooMany
	case err != nil:
		return nil, err
	}
	ss.held++
	return sync.OnceFunc(func() {
		leave()
		s.mu.Lock()
		defer s.mu.Unlock()
		ss.held--
	}), nil
}

// waiter is whose request is held, and what ends that.
type waiter struct {
	done, gone <-chan struct{} // the packaging, the session
	hold       func() (release func(), err error)
}

func (s *Server) waiter(ss *session, p *packaging) waiter {
	return waiter{p.done, ss.gone, func() (func(), error) { return s.hold(ss) }}
}
