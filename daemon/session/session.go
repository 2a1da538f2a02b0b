// Package session is the one registry of everything that moves media: camera
// pulls, viewers of each protocol, pushes, keepalives. Whoever runs a session
// opens it here and closes it here; everybody else lists, finds and kicks. The
// registry never ends anything by itself and knows no protocol: a kick is a
// cancelled context with its reason, and the owner of the session acts on it.
//
// All methods may be called from any goroutine. Registry.Run takes the samples
// that bitrates and liveness come from.
package session

import (
	"context"
	"strings"
	"sync"
	"time"
)

// Kind is what a session does with media.
type Kind string

// The kinds of session.
const (
	Pull      Kind = "pull"      // from a camera into a stream
	Viewer    Kind = "viewer"    // out of a stream to somebody who asked
	Push      Kind = "push"      // out of a stream to an upstream
	Keepalive Kind = "keepalive" // a claim that looks like a viewer and moves nothing
)

// BaseType returns lal's name of the kind: PULL, PUSH or SUB.
func (k Kind) BaseType() string {
	switch k {
	case Pull:
		return "PULL"
	case Push:
		return "PUSH"
	default:
		return "SUB"
	}
}

// Published tells on which side of a stream the kind stands, as Flashphoner
// does: true for those that publish (pull, push), false for those that play
// (viewer). Nobody plays a keepalive, so it is nil.
func (k Kind) Published() *bool {
	switch k {
	case Pull, Push:
		return new(true)
	case Viewer:
		return new(false)
	default:
		return nil
	}
}

// Info is what is known of a session when it begins.
type Info struct {
	Kind      Kind
	Protocol  string // see Protocols; any case, rtsps and rtmps count as RTSP and RTMP
	Path      string // name of the stream
	Push      string // name of the push; empty for all others
	URL       string // of the camera or upstream, without secrets; empty for viewers
	Remote    string // host:port
	UserAgent string
	User      string // name of the principal; empty if anonymous
}

// Session is one registered session.
type Session struct {
	Info
	ID    string    // UUID, never reused
	Start time.Time // wall clock with monotonic reading

	cancel context.CancelCauseFunc
	reg    *Registry
	tally  *tally // of the path; nil unless a viewer's
	counts func() (read, wrote uint64)

	mu     sync.Mutex // guards what follows
	kicked *KickError // nil until Kick
	closed bool
	note   string
	moved  time.Time // when media was last seen to move, zero if never
	read   rate
	wrote  rate
}

// Counts returns the bytes of media read and written so far.
func (s *Session) Counts() (read, wrote uint64) { return s.counts() }

// Kick asks the session to end, whatever it does at the moment, and returns
// without waiting. Its context is done from then on, with a *KickError as cause.
// Of all callers one gets true; a session that has ended is not kicked. by is
// who did it, reason why; both are shown to people.
func (s *Session) Kick(by, reason string) bool { return s.kick(&KickError{By: by, Reason: reason}) }

// KickFor is Kick for who says also how long it is to stay away.
func (s *Session) KickFor(by, reason string, holdOff time.Duration) bool {
	return s.kick(&KickError{By: by, Reason: reason, HoldOff: holdOff})
}

func (s *Session) kick(k *KickError) bool {
	s.mu.Lock()
	if s.kicked != nil || s.closed {
		s.mu.Unlock()
		return false
	}
	s.kicked = k
	s.mu.Unlock()
	s.cancel(k)
	return true
}

// Note adds to what is said of the session for people: what of a stream it does
// not get.
func (s *Session) Note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.note == "":
		s.note = text
	case !strings.Contains(s.note, text):
		s.note += "; " + text
	}
}

// Close takes the session out of the registry; its owner calls it once media
// has stopped. reason is why it ended, in the terms of End; a kick outweighs
// it. Only the first call does something and returns true.
func (s *Session) Close(reason error) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	s.closed = true
	if s.kicked != nil {
		reason = s.kicked
	}
	s.mu.Unlock()
	s.cancel(errClosed)
	now := time.Now()
	s.sample(now)
	s.reg.close(s, Ended{Stat: s.Stat(now), EndTime: now, Reason: End(reason), Detail: detail(reason)})
	return true
}

// sample notes how much media has moved.
func (s *Session) sample(now time.Time) {
	read, wrote := s.counts()
	s.mu.Lock()
	defer s.mu.Unlock()
	r, w := s.read.note(now, read), s.wrote.note(now, wrote)
	if r || w {
		s.moved = now
	}
}

// ProtocolOf returns the name of a protocol, or of a scheme that speaks it, as it
// is shown.
func ProtocolOf(name string) string {
	switch p := strings.ToUpper(name); p {
	case "RTSPS":
		return "RTSP"
	case "RTMPS":
		return "RTMP"
	case "MPEGTS":
		return "TS"
	default:
		return p
	}
}
