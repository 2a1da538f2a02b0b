package reconcile

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// spec is what a key of the test runs: linger is how long it takes to end.
type spec struct {
	version int
	linger  time.Duration
}

// ledger is what the goroutines of a Set under test have done.
type ledger struct {
	t *testing.T

	mu     sync.Mutex // guards what follows
	now    map[string]spec
	starts map[string]int
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, now: make(map[string]spec), starts: make(map[string]int)}
}

// run is the run function: it never finds another goroutine of its key.
func (l *ledger) run(ctx context.Context, key string, s spec) {
	l.mu.Lock()
	if other, ok := l.now[key]; ok {
		l.t.Errorf("%s: %+v begins while %+v runs", key, s, other)
	}
	l.now[key] = s
	l.starts[key]++
	l.mu.Unlock()
	<-ctx.Done()
	time.Sleep(s.linger)
	l.mu.Lock()
	delete(l.now, key)
	l.mu.Unlock()
}

// running returns what runs once nothing moves any more.
func (l *ledger) running() map[string]spec {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.now)
}

func (l *ledger) count(key string) int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.starts[key]
}

func (l *ledger) want(want map[string]spec) {
	l.t.Helper()
	if got := l.running(); !maps.Equal(got, want) {
		l.t.Errorf("runs %v, want %v", got, want)
	}
}

func TestApplyTouchesOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		s := New(l.run)
		first := map[string]spec{"same": {1, 0}, "changes": {1, 0}, "goes": {1, 0}}
		s.Apply(t.Context(), first)
		l.want(first)
		second := map[string]spec{"same": {1, 0}, "changes": {2, 0}, "comes": {1, 0}}
		s.Apply(t.Context(), second)
		l.want(second)
		if got := s.Running(); !maps.Equal(got, second) {
			t.Errorf("Running says %v", got)
		}
		for key, n := range map[string]int{"same": 1, "changes": 2, "goes": 1, "comes": 1} {
			if got := l.count(key); got != n {
				t.Errorf("%s began %d times, want %d", key, got, n)
			}
		}
		s.Close()
		l.want(nil)
	})
}

// TestRandomApplies applies a hundred random plans at random moments, to
// goroutines of which some are slow to end.
func TestRandomApplies(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			l := newLedger(t)
			s := New(l.run)
			steady := spec{7, 0}
			var want map[string]spec
			for range 100 {
				want = map[string]spec{"steady": steady}
				for k := range 6 {
					if rnd.IntN(3) > 0 {
						linger := time.Duration(rnd.IntN(4)) * 30 * time.Millisecond
						want[fmt.Sprint(k)] = spec{rnd.IntN(3), linger}
					}
				}
				s.Apply(t.Context(), want)
				time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
			}
			time.Sleep(time.Second)
			l.want(want)
			if got := s.Running(); !maps.Equal(got, want) {
				t.Errorf("Running says %v, want %v", got, want)
			}
			if n := l.count("steady"); n != 1 {
				t.Errorf("what never changed began %d times", n)
			}
			s.Close()
			l.want(nil)
		})
	}
}

func TestASlowEndHoldsUpItsOwnKeyOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		s := New(l.run)
		slow := spec{1, 5 * time.Second}
		s.Apply(t.Context(), map[string]spec{"slow": slow, "quick": {1, 0}})
		synctest.Wait()
		begin := time.Now()
		s.Apply(t.Context(), map[string]spec{"slow": {2, 0}, "quick": {2, 0}})
		if time.Since(begin) > 0 {
			t.Errorf("Apply took %s", time.Since(begin))
		}
		l.want(map[string]spec{"slow": slow, "quick": {2, 0}})
		time.Sleep(5 * time.Second)
		l.want(map[string]spec{"slow": {2, 0}, "quick": {2, 0}})
		s.Close()
	})
}

// TestBackAndForth removes a key and wants it again before it has ended, and
// changes it twice meanwhile: only the last specification runs.
func TestBackAndForth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		s := New(l.run)
		s.Apply(t.Context(), map[string]spec{"a": {1, time.Second}})
		synctest.Wait()
		s.Apply(t.Context(), nil)
		s.Apply(t.Context(), map[string]spec{"a": {2, time.Second}})
		s.Apply(t.Context(), map[string]spec{"a": {1, time.Second}})
		time.Sleep(1500 * time.Millisecond)
		l.want(map[string]spec{"a": {1, time.Second}})
		if n := l.count("a"); n != 2 {
			t.Errorf("began %d times, want 2", n)
		}
		s.Close()
	})
}

func TestWaitIsForWhatWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		s := New(l.run)
		s.Apply(t.Context(), map[string]spec{"stays": {1, 0}, "goes": {1, time.Second}, "slow": {1, time.Minute}})
		synctest.Wait()
		begin := time.Now()
		s.Wait()
		s.Apply(t.Context(), map[string]spec{"stays": {1, 0}})
		s.Wait("goes", "stays", "unknown")
		if d := time.Since(begin); d != time.Second {
			t.Errorf("waited %s for one key", d)
		}
		l.want(map[string]spec{"stays": {1, 0}, "slow": {1, time.Minute}})
		s.Wait()
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("waited %s for all", d)
		}
		l.want(map[string]spec{"stays": {1, 0}})
		s.Close()
	})
}

// TestWhatReturnsByItself is started by the next Apply, and only then.
func TestWhatReturnsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := make(chan int, 10)
		s := New(func(_ context.Context, _ string, n int) { runs <- n })
		for range 3 {
			s.Apply(t.Context(), map[string]int{"a": 1})
			synctest.Wait()
			if len(s.Running()) != 0 {
				t.Errorf("runs: %v", s.Running())
			}
		}
		if len(runs) != 3 {
			t.Errorf("ran %d times", len(runs))
		}
		s.Close()
	})
}

func TestTheContextOfApplyEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t)
		s := New(l.run)
		ctx, cancel := context.WithCancel(t.Context())
		s.Apply(ctx, map[string]spec{"a": {1, time.Second}})
		synctest.Wait()
		cancel()
		time.Sleep(2 * time.Second)
		l.want(nil)
		s.Apply(t.Context(), map[string]spec{"a": {1, 0}})
		l.want(map[string]spec{"a": {1, 0}})
		s.Close()
	})
}
