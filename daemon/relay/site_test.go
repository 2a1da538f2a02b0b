package relay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// site is a relay whose cameras, hooks and sources the test plays.
type site struct {
	t      *testing.T
	relay  *Relay
	policy Policy // of paths that a hook makes
	starts atomic.Int32
	open   atomic.Int32 // connections
	asked  atomic.Int32 // how often a hook was
	lookup func(ctx context.Context, req hub.Request) (Decision, error)
	idle   func(ctx context.Context, idle Idle) (bool, error)
	run    func(f func(ctx context.Context)) // in a goroutine that ends with the test

	mu      sync.Mutex // guards what follows
	events  []Event
	failure error // of every connection, nil: they deliver after half a second
	expired []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, policy: onDemand}
	s.policy.Runtime = true
	access := auth.New(slog.New(slog.DiscardHandler))
	if _, err := access.Set(auth.Rules{Open: true}); err != nil {
		t.Fatal(err)
	}
	s.relay = New(Config{
		Sessions: session.NewRegistry(nil), Access: access, Hooks: s, Sources: s, Observe: s.observe,
	}, slog.New(slog.DiscardHandler))
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	s.run = func(f func(ctx context.Context)) { running.Go(func() { f(ctx) }) }
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, p := range s.relay.Paths() {
			s.relay.Drop(p.Name())
		}
	})
	return s
}

// add makes a path and pulls it.
func (s *site) add(name string, policy Policy) *Path {
	p := s.relay.Put(name, policy)
	s.run(func(ctx context.Context) {
		if err := p.Pull(ctx, supervise.Policy{}, s.camera(p)); errors.Is(err, ErrExpired) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.expired = append(s.expired, name)
		}
	})
	return p
}

// camera is one connection.
func (s *site) camera(p *Path) func(ctx context.Context, active func()) error {
	return func(ctx context.Context, active func()) error {
		s.starts.Add(1)
		s.open.Add(1)
		defer s.open.Add(-1)
		s.mu.Lock()
		failure := s.failure
		s.mu.Unlock()
		if failure != nil {
			return failure
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		p.Stream().SetTracks([]*media.Track{track})
		active()
		<-ctx.Done()
		return ctx.Err()
	}
}

func (s *site) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

func (s *site) observe(ev Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
}

// told returns the events of a type.
func (s *site) told(kind EventType) []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.events), func(ev Event) bool { return ev.Type != kind })
}

func (s *site) NotFound(ctx context.Context, req hub.Request) (Decision, error) {
	s.asked.Add(1)
	if s.lookup == nil {
		return Decision{}, ErrNoHook
	}
	return s.lookup(ctx, req)
}

func (s *site) NoneReader(ctx context.Context, idle Idle) (bool, error) {
	s.asked.Add(1)
	return s.idle(ctx, idle)
}

func (s *site) Add(_ context.Context, name string, _ Source) error {
	s.add(name, s.policy)
	return nil
}

// watch subscribes and fails the test if that fails.
func (s *site) watch(name string) *hub.Subscription {
	s.t.Helper()
	sub, err := s.relay.Subscribe(s.t.Context(), hub.Request{Path: name, Protocol: "rtsp", Remote: "192.0.2.1:5000"})
	if err != nil {
		s.t.Fatal(err)
	}
	return sub
}

// crowd lets 20 viewers come at once, and returns what became of each and how
// long it took all of them.
func (s *site) crowd(name string) (errs []error, took time.Duration) {
	began := time.Now()
	errs = make([]error, 20)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			sub, err := s.relay.Subscribe(s.t.Context(), hub.Request{Path: name, Protocol: "rtsp", Remote: "192.0.2.1:5000"})
			if errs[i] = err; err == nil {
				sub.Close(nil)
			}
		})
	}
	wg.Wait()
	return errs, time.Since(began)
}

// expect fails the test unless the camera is connected or not.
func (s *site) expect(connected bool, when string) {
	s.t.Helper()
	if got := s.open.Load() > 0; got != connected {
		s.t.Errorf("%s: connected %v, want %v", when, got, connected)
	}
}
