// Package reconcile keeps one goroutine running per wanted key, and restarts
// exactly those whose specification has changed. It knows nothing of what it
// runs, restarts nothing that fails (supervise does) and orders nothing
// between sets (the daemon does).
//
// All methods may be called from any goroutine.
package reconcile

import (
	"context"
	"sync"
)

// Set holds the goroutines of one kind. S is compared with ==.
type Set[K, S comparable] struct {
	run func(ctx context.Context, key K, spec S)

	mu      sync.Mutex // guards what follows
	workers map[K]*worker[S]
}

// worker is one goroutine, from its start until it has ended.
type worker[S comparable] struct {
	spec   S
	wanted bool // false once it has been told to end
	cancel context.CancelFunc
	ended  chan struct{} // closed by the goroutine
}

// New returns an empty Set. run is called in a goroutine per key and returns
// soon after its context is done.
func New[K, S comparable](run func(ctx context.Context, key K, spec S)) *Set[K, S] {
	return &Set[K, S]{run: run, workers: make(map[K]*worker[S])}
}

// Apply makes the set run want and nothing else: it ends what is not in want,
// restarts what has another specification there, and starts what is missing
// or has returned by itself. It does not wait for goroutines that end: a
// restarted key begins as soon as its own predecessor has ended, whatever the
// others do. The contexts of new goroutines descend from ctx. want is not kept.
func (s *Set[K, S]) Apply(ctx context.Context, want map[K]S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, w := range s.workers {
		if spec, ok := want[key]; w.wanted && (!ok || spec != w.spec) {
			w.wanted = false
			w.cancel()
		}
	}
	for key, spec := range want {
		if w := s.workers[key]; w == nil || !w.wanted {
			s.start(ctx, key, spec, w)
		}
	}
}

// start runs key once before, which may be nil, has ended. mu is held.
func (s *Set[K, S]) start(ctx context.Context, key K, spec S, before *worker[S]) {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker[S]{spec: spec, wanted: true, cancel: cancel, ended: make(chan struct{})}
	s.workers[key] = w
	go func() {
		defer close(w.ended)
		defer s.forget(key, w)
		defer cancel()
		if before != nil {
			<-before.ended
		}
		if ctx.Err() == nil {
			s.run(ctx, key, spec)
		}
	}()
}

// forget removes w, unless another has taken its place.
func (s *Set[K, S]) forget(key K, w *worker[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.workers[key] == w {
		delete(s.workers, key)
	}
}

// Running returns what is wanted and has not returned.
func (s *Set[K, S]) Running() map[K]S {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[K]S, len(s.workers))
	for key, w := range s.workers {
		if w.wanted {
			m[key] = w.spec
		}
	}
	return m
}

// Wait blocks until every goroutine has ended that was removed before the
// call, of the given keys or, without keys, of all. Goroutines that are
// wanted are not waited for.
func (s *Set[K, S]) Wait(keys ...K) {
	for _, ended := range s.ending(keys) {
		<-ended
	}
}

// ending returns the end marks of workers that have been told to end.
func (s *Set[K, S]) ending(keys []K) []<-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []<-chan struct{}
	add := func(w *worker[S]) {
		if w != nil && !w.wanted {
			all = append(all, w.ended)
		}
	}
	for _, key := range keys {
		add(s.workers[key])
	}
	if len(keys) == 0 {
		for _, w := range s.workers {
			add(w)
		}
	}
	return all
}

// Close ends all goroutines and waits for them.
func (s *Set[K, S]) Close() {
	s.Apply(context.Background(), nil)
	s.Wait()
}
