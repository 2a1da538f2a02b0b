package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Filter selects sessions. A nil field asks for nothing, the others must all
// apply; the zero Filter selects every session. Fields are Flashphoner's, whose
// JSON names are given; kind and protocol are ours.
type Filter struct {
	ID        *string  // mediaSessionId
	IDs       []string // mediaSessionIds: any of these; empty but not nil selects nothing
	Name      *string  // name: of the stream
	Published *bool    // published: see Kind.Published
	Status    *string  // status: see Statuses
	Kind      *Kind    // kind
	Protocol  *string  // protocol: see Protocols
}

// Flashphoner's names of what we call active and stalled, by the side of the
// stream.
const (
	publishing = "PUBLISHING"
	playing    = "PLAYING"
)

// Statuses returns what Filter.Status may be: our states, and Flashphoner's
// PUBLISHING and PLAYING for a session of that side that has begun.
func Statuses() []string {
	return []string{string(Starting), string(Active), string(Stalled), string(Closing), publishing, playing}
}

// Protocols returns the names of protocols that sessions have.
func Protocols() []string {
	return []string{"RTSP", "HLS", "DASH", "TS", "FLV", "RTMP", "SRT", "STILL", "KEEPALIVE"}
}

// Kinds returns the kinds of session.
func Kinds() []Kind { return []Kind{Pull, Viewer, Push, Keepalive} }

// Empty tells whether f selects every session.
func (f Filter) Empty() bool {
	return f.ID == nil && f.IDs == nil && f.Name == nil && f.Published == nil &&
		f.Status == nil && f.Kind == nil && f.Protocol == nil
}

// Check refuses values that no session can have, so that a typo is not taken
// for an order that found nothing. Its error names the field and what it may be.
func (f Filter) Check() error {
	if f.ID != nil && *f.ID == "" {
		return errors.New("mediaSessionId is empty")
	}
	if f.Name != nil && *f.Name == "" {
		return errors.New("name is empty")
	}
	if f.Status != nil && !slices.Contains(Statuses(), *f.Status) {
		return fmt.Errorf("unknown status %q, use one of %s", *f.Status, strings.Join(Statuses(), ", "))
	}
	if f.Kind != nil && !slices.Contains(Kinds(), *f.Kind) {
		return fmt.Errorf("unknown kind %q, use one of %v", *f.Kind, Kinds())
	}
	if f.Protocol != nil && !slices.Contains(Protocols(), ProtocolOf(*f.Protocol)) {
		return fmt.Errorf("unknown protocol %q, use one of %s", *f.Protocol, strings.Join(Protocols(), ", "))
	}
	return nil
}

// match tells whether s is selected.
func (f Filter) match(s *Session, now time.Time) bool {
	switch {
	case f.ID != nil && !strings.EqualFold(*f.ID, s.ID),
		f.IDs != nil && !slices.ContainsFunc(f.IDs, func(id string) bool { return strings.EqualFold(id, s.ID) }),
		f.Name != nil && *f.Name != s.Path,
		f.Kind != nil && *f.Kind != s.Kind,
		f.Protocol != nil && ProtocolOf(*f.Protocol) != s.Protocol,
		f.Published != nil && !onSide(s.Kind, *f.Published):
		return false
	}
	return f.Status == nil || hasStatus(s, *f.Status, now)
}

func onSide(k Kind, published bool) bool {
	side := k.Published()
	return side != nil && *side == published
}

func hasStatus(s *Session, status string, now time.Time) bool {
	state := s.State(now)
	switch status {
	case publishing, playing:
		return (state == Active || state == Stalled) && onSide(s.Kind, status == publishing)
	}
	return string(state) == status
}

// Find returns the open sessions that f selects, oldest first, and those of its
// IDs that no open session has, in their order.
func (r *Registry) Find(f Filter) (found []*Session, missing []string) {
	now := time.Now()
	found = slices.DeleteFunc(r.List(), func(s *Session) bool { return !f.match(s, now) })
	ids := f.IDs
	if f.ID != nil {
		ids = append([]string{*f.ID}, ids...)
	}
	for _, id := range ids {
		if r.Get(id) == nil {
			missing = append(missing, id)
		}
	}
	return found, missing
}

// Terminate kicks the sessions that f selects, and returns those that it was
// the one to kick, with what Find says of its IDs.
func (r *Registry) Terminate(f Filter, by, reason string) (ended []*Session, missing []string) {
	found, missing := r.Find(f)
	return slices.DeleteFunc(found, func(s *Session) bool { return !s.Kick(by, reason) }), missing
}
