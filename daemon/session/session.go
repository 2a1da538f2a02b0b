// Package session is the one registry of everything that reads or writes
// media: viewers of each protocol, pushes, camera pulls. Whoever opens a
// session adds it here and ends it here; the API lists and kicks from here.
// All methods may be called from any goroutine.
package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Kind is what a session does with media.
type Kind string

// The kinds of session.
const (
	Viewer Kind = "viewer"
	Push   Kind = "push"
	Pull   Kind = "pull"
)

// ErrKicked is the cause of a session's context when somebody ended it here.
var ErrKicked = errors.New("terminated")

// Info is what is known of a session when it begins.
type Info struct {
	Kind      Kind
	Protocol  string // rtsp, hls, rtmp, srt
	Path      string // name of the stream
	Remote    string // host:port, without credentials
	UserAgent string
	User      string
}

// Session is one registered session.
type Session struct {
	Info
	ID    string    // UUID, never reused
	Start time.Time // wall clock with monotonic reading
	Bytes *atomic.Uint64

	cancel context.CancelCauseFunc
	reg    *Registry
}

// Registry holds the open sessions.
type Registry struct {
	mu   sync.Mutex // guards open
	open map[string]*Session
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{open: make(map[string]*Session)} }

// Open registers a session whose media is counted in bytes. The context is
// done, with the cause, when the session is to end.
func (r *Registry) Open(ctx context.Context, info Info, bytes *atomic.Uint64) (*Session, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Session{Info: info, ID: uuid.NewString(), Start: time.Now(), Bytes: bytes, cancel: cancel, reg: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s.ID] = s
	return s, ctx
}

// Close ends the session. Only the first call does something and returns true.
func (s *Session) Close() bool {
	s.reg.mu.Lock()
	_, was := s.reg.open[s.ID]
	delete(s.reg.open, s.ID)
	s.reg.mu.Unlock()
	s.cancel(context.Canceled)
	return was
}

// Kick asks the session to end for the reason given; its owner closes it.
func (s *Session) Kick(reason error) { s.cancel(reason) }

// List returns the open sessions, oldest first.
func (r *Registry) List() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Session, 0, len(r.open))
	for _, s := range r.open {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Session) int {
		if c := a.Start.Compare(b.Start); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// KickPath asks all sessions of a stream to end.
func (r *Registry) KickPath(path string, reason error) {
	for _, s := range r.List() {
		if s.Path == path {
			s.Kick(reason)
		}
	}
}
