package session

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f in a bubble with a registry that takes samples.
func bubble(t *testing.T, f func(t *testing.T, r *Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry(nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		f(t, r)
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run returned %v", err)
		}
	})
}

// source moves n bytes every so often until ctx is done.
func source(ctx context.Context, sum *atomic.Uint64, n uint64, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			sum.Add(n)
		case <-ctx.Done():
			return
		}
	}
}

func TestL11_L12_BitrateIsThatOfTheSourceAndFallsTo0(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes uint64
		every time.Duration
	}{
		{"packets", 2500, 10 * time.Millisecond},
		{"parts of 400 ms", 100_000, 400 * time.Millisecond},
		{"segments of 2 s", 500_000, 2 * time.Second},
		{"segments of 4 s", 1_000_000, 4 * time.Second},
	} {
		for _, kind := range []Kind{Pull, Viewer, Push} {
			t.Run(tc.name+" of a "+string(kind), func(t *testing.T) {
				bubble(t, func(t *testing.T, r *Registry) {
					var sum atomic.Uint64
					s, ctx := r.Open(t.Context(), Info{Kind: kind}, func() (read, wrote uint64) {
						if kind == Pull {
							return sum.Load(), 0
						}
						return 0, sum.Load()
					})
					time.Sleep(300 * time.Millisecond) // no tick falls on a burst
					flow, freeze := context.WithCancel(ctx)
					go source(flow, &sum, tc.bytes, tc.every)
					time.Sleep(10 * time.Second)
					for range 20 {
						time.Sleep(time.Second)
						st := s.Stat(time.Now())
						if st.Bitrate < 1800 || st.Bitrate > 2200 || st.Bitrate != st.ReadBitrate+st.WriteBitrate {
							t.Errorf("%+v, want 2000 kbit/s", st)
						}
					}
					freeze()
					time.Sleep(10 * time.Second)
					frozen := s.Stat(time.Now())
					if frozen.Bitrate != 0 || frozen.ReadBitrate != 0 || frozen.WriteBitrate != 0 {
						t.Errorf("%+v 10 s after the end of media", frozen)
					}
					time.Sleep(time.Hour)
					if again := s.Stat(time.Now()); again.Read != frozen.Read || again.Wrote != frozen.Wrote {
						t.Errorf("%+v, had %+v", again, frozen)
					}
					s.Close(nil)
				})
			})
		}
	}
}

func TestL11_BitrateIsRightAgainAfterARest(t *testing.T) {
	bubble(t, func(t *testing.T, r *Registry) {
		var sum atomic.Uint64
		s, _ := r.Open(t.Context(), Info{Kind: Viewer}, func() (uint64, uint64) { return 0, sum.Load() })
		defer s.Close(nil)
		for range 3 {
			time.Sleep(300 * time.Millisecond) // no tick falls on a burst
			flow, freeze := context.WithCancel(t.Context())
			go source(flow, &sum, 250_000, time.Second)
			time.Sleep(10*time.Second + 100*time.Millisecond)
			if got := s.Stat(time.Now()).Bitrate; got != 2000 {
				t.Errorf("%d kbit/s, want 2000", got)
			}
			freeze()
			time.Sleep(time.Minute)
		}
	})
}

func TestL13_StalledIsWithoutMediaForTooLong(t *testing.T) {
	bubble(t, func(t *testing.T, r *Registry) {
		r.SetStalledAfter(7 * time.Second)
		var sum atomic.Uint64
		s, _ := r.Open(t.Context(), Info{Kind: Pull}, func() (uint64, uint64) { return sum.Load(), 0 })
		defer s.Close(nil)
		time.Sleep(time.Minute)
		if st := s.Stat(time.Now()); st.State != Starting || st.Alive {
			t.Errorf("state %s, alive %v before the first media", st.State, st.Alive)
		}
		sum.Add(1)
		time.Sleep(6900 * time.Millisecond)
		if st := s.Stat(time.Now()); st.State != Active || !st.Alive {
			t.Errorf("state %s, alive %v", st.State, st.Alive)
		}
		time.Sleep(1200 * time.Millisecond) // the threshold and a second
		if st := s.Stat(time.Now()); st.State != Stalled || st.Alive {
			t.Errorf("state %s, alive %v after 8.1 s without media", st.State, st.Alive)
		}
		sum.Add(1)
		time.Sleep(1100 * time.Millisecond)
		if got := s.State(time.Now()); got != Active {
			t.Errorf("state %s once media moves again", got)
		}
	})
}

// TestRunSleepsWithoutSessions lets an hour pass between sessions, in which
// nothing may wake.
func TestRunSleepsWithoutSessions(t *testing.T) {
	bubble(t, func(t *testing.T, r *Registry) {
		for range 3 {
			var sum atomic.Uint64
			var samples atomic.Int32
			s, _ := r.Open(t.Context(), Info{Kind: Pull}, func() (uint64, uint64) {
				samples.Add(1)
				return sum.Load(), 0
			})
			samples.Store(0)
			time.Sleep(10*time.Second + 500*time.Millisecond)
			if n := samples.Load(); n < 9 || n > 11 {
				t.Errorf("%d samples in 10 s", n)
			}
			s.Close(nil)
			time.Sleep(time.Hour)
		}
	})
}
