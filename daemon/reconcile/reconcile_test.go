package reconcile

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a run function that remembers who runs and how often it started.
type recorder struct {
	t      *testing.T
	slow   func(key int) time.Duration // how long a worker takes to stop
	mu     sync.Mutex                  // guards what follows
	now    map[int]string
	starts map[int]int
}

func (r *recorder) run(ctx context.Context, key int, spec string) {
	r.mu.Lock()
	if was, busy := r.now[key]; busy {
		r.t.Errorf("%d starts with %q while it runs with %q", key, spec, was)
	}
	r.now[key] = spec
	r.starts[key]++
	r.mu.Unlock()
	<-ctx.Done()
	time.Sleep(r.slow(key))
	r.mu.Lock()
	delete(r.now, key)
	r.mu.Unlock()
}

func newRecorder(t *testing.T, slow func(int) time.Duration) *recorder {
	return &recorder{t: t, slow: slow, now: map[int]string{}, starts: map[int]int{}}
}

func TestOnlyWhatChangedRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, func(int) time.Duration { return time.Second })
		s := New(r.run)
		s.Apply(t.Context(), map[int]string{1: "a", 2: "b", 3: "c"})
		synctest.Wait()
		s.Apply(t.Context(), map[int]string{1: "a", 2: "changed", 4: "d"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := map[int]int{1: 1, 2: 2, 3: 1, 4: 1}
		for key, n := range want {
			if r.starts[key] != n {
				t.Errorf("worker %d has started %d times, want %d", key, r.starts[key], n)
			}
		}
		if len(r.now) != 3 || r.now[2] != "changed" {
			t.Errorf("running: %v", r.now)
		}
		s.Apply(t.Context(), nil)
		s.Wait()
	})
}

func TestASlowWorkerHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, func(key int) time.Duration { return time.Duration(key) * time.Hour })
		s := New(r.run)
		s.Apply(t.Context(), map[int]string{0: "a", 1: "a"})
		synctest.Wait()
		s.Apply(t.Context(), map[int]string{0: "b", 1: "b"})
		synctest.Wait()
		if r.now[0] != "b" || r.now[1] != "a" {
			t.Errorf("running %v, want 0 with b while 1 still stops", r.now)
		}
		s.Apply(t.Context(), nil)
		s.Wait()
	})
}

func TestRandomAppliesConverge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(7, 7))
		r := newRecorder(t, func(key int) time.Duration { return time.Duration(key*7%5) * time.Second })
		s := New(r.run)
		var want map[int]string
		for range 200 {
			want = map[int]string{}
			for key := range 10 {
				if n := rnd.IntN(4); n > 0 {
					want[key] = string(rune('a' + n))
				}
			}
			s.Apply(t.Context(), want)
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.now) != len(want) || len(s.Running()) != len(want) {
			t.Errorf("running %v, want %v", r.now, want)
		}
		for key, spec := range want {
			if r.now[key] != spec {
				t.Errorf("worker %d runs with %q, want %q", key, r.now[key], spec)
			}
		}
		s.Apply(t.Context(), nil)
		s.Wait()
	})
}
