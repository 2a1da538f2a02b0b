package session

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// period is the time between two samples of all sessions.
const period = time.Second

// history is how many ended sessions are remembered.
const history = 200

// stalledAfter is the default of Registry.SetStalledAfter.
const stalledAfter = 10 * time.Second

// EventType tells what happened to a session.
type EventType string

// The types of event. Each session has one of each, in this order.
const (
	Opened EventType = "opened"
	Closed EventType = "closed"
)

// Event is what an observer is told.
type Event struct {
	Type    EventType
	Session Ended // of an opened one only Stat is set
}

// Registry holds the open sessions, and remembers some that have ended.
type Registry struct {
	observe func(Event)
	stalled atomic.Int64 // time.Duration
	began   chan struct{}

	mu             sync.Mutex // guards what follows
	open           map[string]*Session
	ended          []Ended // oldest first
	opened, closed uint64
	tallies        map[string]*tally // by path
}

// tally is what the viewers of a path were sent.
type tally struct {
	sent  uint64 // by sessions that have ended
	shown uint64 // the most that Sent has said
}

// NewRegistry returns an empty registry. observe is told of each session that
// opens and closes, from the goroutine that does it; it must not block. It may
// be nil.
func NewRegistry(observe func(Event)) *Registry {
	if observe == nil {
		observe = func(Event) {}
	}
	r := &Registry{
		observe: observe, began: make(chan struct{}, 1),
		open: make(map[string]*Session), tallies: make(map[string]*tally),
	}
	r.SetStalledAfter(stalledAfter)
	return r
}

// SetStalledAfter sets for how long media may rest before a session counts as
// stalled; 10 s at first.
func (r *Registry) SetStalledAfter(d time.Duration) { r.stalled.Store(int64(d)) }

// Run takes a sample of every session each second while there are any, until
// ctx is done, and returns ctx's error.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		open := r.sessions()
		if len(open) == 0 {
			tick.Stop()
			select {
			case <-r.began:
				tick.Reset(period)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now := time.Now()
		for _, s := range r.sessions() {
			s.sample(now)
		}
	}
}

// Open registers a session. The context it returns is ctx until somebody kicks
// the session or it is closed; the cause tells why. counts returns the bytes of
// media read and written since the session began; it is called from any
// goroutine, also a moment after Close, and must not block. nil stands for a
// session that moves nothing. The caller calls Close.
func (r *Registry) Open(
	ctx context.Context, info Info, counts func() (read, wrote uint64),
) (*Session, context.Context) {
	if counts == nil {
		counts = func() (read, wrote uint64) { return 0, 0 }
	}
	info.Protocol = ProtocolOf(info.Protocol)
	ctx, cancel := context.WithCancelCause(ctx)
	now := time.Now()
	s := &Session{Info: info, ID: uuid.NewString(), Start: now, cancel: cancel, reg: r, counts: counts}
	s.read.start(now)
	s.wrote.start(now)
	r.mu.Lock()
	if info.Kind == Viewer {
		if r.tallies[info.Path] == nil {
			r.tallies[info.Path] = new(tally)
		}
		s.tally = r.tallies[info.Path]
	}
	r.open[s.ID] = s
	r.opened++
	r.mu.Unlock()
	select {
	case r.began <- struct{}{}:
	default: // it has been told, or runs anyway
	}
	r.observe(Event{Type: Opened, Session: Ended{Stat: s.Stat(now)}})
	return s, ctx
}

// close ends the account of a session.
func (r *Registry) close(s *Session, e Ended) {
	r.mu.Lock()
	delete(r.open, s.ID)
	r.closed++
	if s.tally != nil {
		s.tally.sent += e.Wrote
	}
	if len(r.ended) == history {
		r.ended = append(r.ended[:0], r.ended[1:]...)
	}
	r.ended = append(r.ended, e)
	r.mu.Unlock()
	r.observe(Event{Type: Closed, Session: e})
}

// sessions returns the open sessions in no order.
func (r *Registry) sessions() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Session, 0, len(r.open))
	for _, s := range r.open {
		all = append(all, s)
	}
	return all
}

// List returns the open sessions, oldest first.
func (r *Registry) List() []*Session {
	all := r.sessions()
	slices.SortFunc(all, func(a, b *Session) int {
		return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Get returns the open session of that ID, nil if there is none.
func (r *Registry) Get(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[strings.ToLower(id)]
}

// Ended returns the sessions that ended last, newest first, at most 200.
func (r *Registry) Ended() []Ended {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.ended)
	slices.Reverse(all)
	return all
}

// Totals returns how many sessions were opened and closed since the start. The
// difference is the number of those that are open.
func (r *Registry) Totals() (opened, closed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.opened, r.closed
}

// Sent returns the bytes sent to viewers of a path since it was there, those
// that have left included. It never falls.
func (r *Registry) Sent(path string) uint64 {
	r.mu.Lock()
	t := r.tallies[path]
	if t == nil {
		r.mu.Unlock()
		return 0
	}
	sum := t.sent
	var open []*Session
	for _, s := range r.open {
		if s.tally == t {
			open = append(open, s)
		}
	}
	r.mu.Unlock()
	for _, s := range open {
		_, wrote := s.counts()
		sum += wrote
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t.shown = max(t.shown, sum) // bytes that leave while a session closes are not in its account
	return t.shown
}

// SentByPath is Sent of all paths that viewers have come to.
func (r *Registry) SentByPath() map[string]uint64 {
	r.mu.Lock()
	paths, sums := maps.Clone(r.tallies), make(map[*tally]uint64, len(r.tallies))
	for _, t := range paths {
		sums[t] = t.sent
	}
	var open []*Session
	for _, s := range r.open {
		if s.tally != nil {
			open = append(open, s)
		}
	}
	r.mu.Unlock()
	for _, s := range open {
		_, wrote := s.counts()
		sums[s.tally] += wrote
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]uint64, len(paths))
	for path, t := range paths {
		t.shown = max(t.shown, sums[t])
		all[path] = t.shown
	}
	return all
}

// KickPath kicks all sessions of a path that has been removed, and drops what
// is summed up of it. Those that are still ending do not count for a later path
// of the same name. reason is in the chain of their cause.
func (r *Registry) KickPath(path string, reason error) {
	r.mu.Lock()
	delete(r.tallies, path)
	r.mu.Unlock()
	for _, s := range r.sessions() {
		if s.Path == path {
			s.kick(&KickError{By: self, Reason: reason.Error(), err: reason})
		}
	}
}
