package watch

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestWithoutTheKernel gets no queue: changes are found by looking for them.
func TestWithoutTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		write(t, file, "a")
		w := New(slog.New(slog.DiscardHandler), file)
		var asked, told atomic.Int64
		w.queue = func() (*fsnotify.Watcher, error) {
			asked.Add(1)
			return nil, errors.New("too many open files")
		}
		w.table = func(func()) (*mounts, error) { return nil, errors.New("too many open files") }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx, func() { told.Add(1) }) }()
		check := func(what string, want int64, d time.Duration) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := told.Load(); n != want {
				t.Errorf("%s: told %d times, want %d", what, n, want)
			}
		}
		check("the beginning", 1, time.Second)
		check("nothing", 1, 10*time.Minute)
		write(t, file, "b, longer")
		check("a change", 2, rescan+quiet)
		check("nothing again", 2, 10*time.Minute)
		if n := asked.Load(); n < 20 {
			t.Errorf("the kernel was asked %d times", n)
		}
		cancel()
		<-ended
	})
}

func TestSettle(t *testing.T) {
	ms := func(n ...int) []time.Duration {
		var all []time.Duration
		for _, i := range n {
			all = append(all, time.Duration(i)*time.Millisecond)
		}
		return all
	}
	steady := make([]time.Duration, 400) // one in 10 ms, for 4 s
	for i := range steady {
		steady[i] = time.Duration(i) * 10 * time.Millisecond
	}
	rows := []struct {
		name string
		hits []time.Duration
		want []time.Duration // when it is told
	}{
		{"one change", ms(0), ms(200)},
		{"a burst", ms(0, 10, 150, 300), ms(500)},
		{"two changes far apart", ms(0, 1000), ms(200, 1200)},
		{"a change in the moment of telling", ms(0, 200, 300), ms(200, 500)},
		{"changes without end are told every two seconds", steady, ms(2000, 4000)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			begin := time.Now()
			var s settle
			var due time.Time
			var told []time.Duration
			tell := func() {
				told = append(told, due.Sub(begin))
				s, due = settle{}, time.Time{}
			}
			for _, h := range row.hits {
				now := begin.Add(h)
				if !due.IsZero() && !due.After(now) {
					tell()
				}
				due = s.hit(now)
			}
			tell()
			if len(told) != len(row.want) {
				t.Fatalf("told at %v, want %v", told, row.want)
			}
			for i := range told {
				if told[i] != row.want[i] {
					t.Errorf("told at %v, want %v", told, row.want)
				}
			}
		})
	}
}
