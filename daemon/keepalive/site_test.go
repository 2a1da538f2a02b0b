package keepalive

import (
	"context"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// site is some paths, whose cameras do as they are told.
type site struct {
	mu     sync.Mutex // guards what follows
	paths  map[string]*path
	claims map[string]map[*Lease]endClaim // by path; those that are held
	fresh  int
	events []Event
}

// endClaim is what ends a claim.
type endClaim func(reason string, pause time.Duration)

// path is one camera.
type path struct {
	health  Health
	changed chan struct{}
}

func newSite(names ...string) *site {
	s := &site{paths: make(map[string]*path), claims: make(map[string]map[*Lease]endClaim)}
	for _, name := range names {
		s.put(name, Health{Reason: "connection refused"})
	}
	return s
}

// put makes a path, or changes how it is.
func (s *site) put(name string, h Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paths[name]
	if p == nil {
		p = new(path)
		s.paths[name] = p
		s.claims[name] = make(map[*Lease]endClaim)
	} else {
		close(p.changed)
	}
	p.health, p.changed = h, make(chan struct{})
}

// drop removes a path; claims on it are void.
func (s *site) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.paths[name].changed)
	delete(s.paths, name)
	delete(s.claims, name)
}

func (s *site) Claim(name string, l Lease, fresh bool, ended func(string, time.Duration)) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims := s.claims[name]
	if claims == nil {
		return nil, false
	}
	if fresh {
		s.fresh++
	}
	claims[&l] = ended
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if claims[&l] == nil && s.claims[name] != nil {
			panic("a claim is released twice")
		}
		delete(claims, &l)
	}, true
}

func (s *site) Health(name string) (h Health, changed <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paths[name]
	if p == nil {
		return Health{}, nil, false
	}
	return p.health, p.changed, true
}

// end ends the claims of a lease, and tells whether there were any.
func (s *site) end(id, reason string, pause time.Duration) bool {
	var all []endClaim
	s.mu.Lock()
	for _, claims := range s.claims {
		for l, ended := range claims {
			if l.ID == id {
				all = append(all, ended)
			}
		}
	}
	s.mu.Unlock()
	for _, ended := range all {
		ended(reason, pause)
	}
	return len(all) > 0
}

// held returns how many claims there are on a path.
func (s *site) held(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.claims[name])
}

func (s *site) observe(ev Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
}

// told returns the types of the events of a lease, in order.
func (s *site) told(id string) []EventType {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []EventType
	for _, ev := range s.events {
		if ev.Lease.ID == id {
			all = append(all, ev.Type)
		}
	}
	return all
}

// memory is a store without a disk.
type memory struct {
	mu     sync.Mutex // guards what follows
	b      []byte
	err    error // of the next writes
	writes int
	aside  map[string][]byte
}

func (m *memory) read() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.b == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.b), nil
}

func (m *memory) write(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.err == nil {
		m.b = slices.Clone(b)
	}
	return m.err
}

func (m *memory) setAside(mark string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.aside == nil {
		m.aside = make(map[string][]byte)
	}
	m.aside[mark], m.b = m.b, nil
	return mark
}

// fail makes writes end with err from now on.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// start loads and runs leases on a site until stop is called.
func start(t testing.TB, s *site, st store) (k *Leases, stop func()) {
	k = New(Config{Paths: s, Observe: s.observe}, slog.New(slog.DiscardHandler))
	k.store = st
	return k, run(t, s, k)
}

// run loads, attaches and runs leases until stop is called.
func run(t testing.TB, s *site, k *Leases) (stop func()) {
	k.Load()
	s.mu.Lock()
	var names []string
	for name := range s.paths {
		names = append(names, name)
	}
	s.mu.Unlock()
	for _, name := range names {
		k.PathAdded(name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = k.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// add adds a lease that there is no reason to refuse.
func add(t testing.TB, k *Leases, r Request, by Caller) Lease {
	t.Helper()
	l, err := k.Add(t.Context(), r, by)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var (
	warm  = Health{Warm: true, Media: true}
	alice = Caller{User: "alice", IP: "192.0.2.7"}
)
