package hls

import (
	"errors"
	"sync"
	"time"

	"camrelay/media/accept"
)

// Bounds of the requests that are held until there is what they ask for.
const (
	maxHeld     = 2048
	maxHeldFrom = 256 // of the players of one address
	// maxHeldBy is of one player: it waits for a playlist and for a part, and may
	// have given up as many of which nobody has heard yet.
	maxHeldBy = 4
)

// heldTooManyError is the error of one who has too many requests held.
type heldTooManyError struct{}

func (heldTooManyError) Error() string { return "too many requests are held" }

// RetryAfter is when some of them will have been answered.
func (heldTooManyError) RetryAfter() time.Duration { return time.Second }

// hold counts a request of the session that is held until release. Players that
// show all the same are one session, so only their address is bounded.
func (s *Server) hold(ss *session) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss.alone && ss.held >= maxHeldBy {
		return nil, heldTooManyError{}
	}
	leave, err := s.held.Take(ss.from)
	switch {
	case errors.Is(err, accept.ErrFromOne):
		return nil, heldTooManyError{}
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
