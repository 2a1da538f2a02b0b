package supervise

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestPowerCut starts fifty cameras at once: never more than eight between
// their start and their first media, all of them soon.
func TestPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := NewLimiter(8)
		var mu sync.Mutex // guards dialling and most
		dialling, most, begin := 0, 0, time.Now()
		var last time.Duration
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				_ = Keep(ctx, Policy{Dials: l}, func(State) {}, func(ctx context.Context, active func()) error {
					mu.Lock()
					dialling++
					most = max(most, dialling)
					mu.Unlock()
					time.Sleep(700 * time.Millisecond)
					mu.Lock()
					dialling--
					last = time.Since(begin)
					mu.Unlock()
					active()
					<-ctx.Done()
					return ctx.Err()
				})
			})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most != 8 {
			t.Errorf("%d at once", most)
		}
		if last > 8*time.Second {
			t.Errorf("the last one was there after %s", last)
		}
		cancel()
		all.Wait()
	})
}

// TestDeadCamerasHoldNobodyUp puts one live camera behind forty that are
// unreachable and take 10 s to say so.
func TestDeadCamerasHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l, begin := NewLimiter(8), time.Now()
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				_ = Keep(ctx, Policy{Dials: l}, func(State) {}, func(ctx context.Context, _ func()) error {
					return sleep(ctx, 10*time.Second, nil, nil, nil)
				})
			})
		}
		synctest.Wait()
		live := keep(t, Policy{Dials: l}, flows(time.Hour, errLost))
		time.Sleep(15 * time.Second)
		if s := live.state(); s.Phase != Active || s.Since.Sub(begin) > 12*time.Second {
			t.Errorf("the live one is %s since %s", s.Phase, s.Since.Sub(begin))
		}
		live.stop()
		cancel()
		all.Wait()
	})
}

func TestLimiterLetsGoOfThoseWhoGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(1)
		release, err := l.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k := keep(t, Policy{Dials: l}, flows(time.Hour, errLost))
		if len(k.begun()) != 0 {
			t.Error("it did not wait")
		}
		k.stop()
		release()
		release()
		if len(l.slots) != 0 {
			t.Errorf("%d slots are taken", len(l.slots))
		}
	})
}
