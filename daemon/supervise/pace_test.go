package supervise

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

func TestPaceGoesByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begin := NewPace(250*time.Millisecond), time.Now()
		var mu sync.Mutex // guards order
		var order []int
		var all sync.WaitGroup
		gone, leave := context.WithCancel(t.Context())
		for i, priority := range []int{0, 50, 50, 100, 7} {
			ctx := t.Context()
			if i == 3 {
				ctx = gone
			}
			all.Go(func() {
				if _, err := p.Await(ctx, priority, time.Time{}); err != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		leave()
		all.Wait()
		if !slices.Equal(order, []int{1, 2, 4, 0}) || time.Since(begin) != 800*time.Millisecond {
			t.Errorf("in the order %v, the last after %v", order, time.Since(begin))
		}
	})
}

var errOutOfReach = media.Fail(media.ClassUnreachable, errors.New("no answer"))

// uplink is a line with outages, and what has begun on it.
type uplink struct {
	outages [][2]time.Time

	mu       sync.Mutex // guards what follows
	connects []time.Time
	order    []int // who has connected, by priority
}

// at returns whether the line is down, and until when it stays as it is.
func (u *uplink) at(now time.Time) (down bool, until time.Time) {
	for _, o := range u.outages {
		if now.Before(o[0]) {
			return false, o[0]
		}
		if now.Before(o[1]) {
			return true, o[1]
		}
	}
	return false, now.Add(1e4 * time.Hour)
}

// stalls is how long a connection lives without an answer.
const stalls = 10 * time.Second

// push is a run over the line: when it is down it is asked again for 10 s, as
// the kernel does, 1, 3 and 7 s after the first time.
func (u *uplink) push(priority int, answered error) runFunc {
	return func(ctx context.Context, active func()) error {
		begun := time.Now()
		for _, again := range []time.Duration{0, 1, 3, 7, 10} {
			if err := sleep(ctx, time.Until(begun.Add(again*time.Second)), nil, nil, nil); err != nil {
				return err
			}
			if down, _ := u.at(time.Now()); !down && again < 10 {
				break
			} else if again == 10 {
				return errOutOfReach
			}
		}
		u.mu.Lock()
		u.connects, u.order = append(u.connects, time.Now()), append(u.order, priority)
		u.mu.Unlock()
		if answered != nil {
			return answered
		}
		active()
		for {
			_, until := u.at(time.Now())
			if err := sleep(ctx, time.Until(until)+stalls, nil, nil, nil); err != nil {
				return err
			}
			if down, _ := u.at(time.Now()); down {
				return errLost
			}
		}
	}
}

// busiest returns the greatest number of connects within a second.
func (u *uplink) busiest() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	most := 0
	for i := range u.connects {
		n := 0
		for ; n <= i && u.connects[i].Sub(u.connects[i-n]) < time.Second; n++ {
		}
		most = max(most, n)
	}
	return most
}

// TestUplinkReturns cuts the line of 16 pushes for five minutes: all are active
// within 30 s of its return, no more than four connect in a second, the most
// important first but for the one that has found it.
func TestUplinkReturns(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			u := &uplink{outages: [][2]time.Time{{begin.Add(2 * time.Minute), begin.Add(7 * time.Minute)}}}
			pace := NewPace(250 * time.Millisecond)
			var all []*kept
			for i := range 16 {
				terms := func() Terms { return Terms{Priority: i} }
				all = append(all, keep(t, Policy{Pace: pace, Terms: terms}, u.push(i, nil)))
			}
			sleepFor(time.Minute)
			u.mu.Lock()
			if want := []int{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}; !slices.Equal(u.order, want) {
				t.Errorf("at first in the order %v", u.order)
			}
			u.mu.Unlock()
			sleepFor(6*time.Minute + 30*time.Second)
			u.mu.Lock()
			if again := u.order[17:]; len(again) != 15 || !slices.IsSortedFunc(again, func(a, b int) int { return b - a }) {
				t.Errorf("in the order %v", u.order[16:])
			}
			u.mu.Unlock()
			for i, k := range all {
				if s := k.state(); s.Phase != Active {
					t.Errorf("push %d is %s 30 s after the return", i, s.Phase)
				}
				k.stop()
			}
			if n := u.busiest(); n > 4 {
				t.Errorf("%d connects in a second", n)
			}
		})
	}
}

// TestAMonthOfOutages lets eight pushes, one of them to a server that always
// refuses, live through random outages.
func TestAMonthOfOutages(t *testing.T) {
	seed := rand.Uint64()
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		u, at, end := &uplink{}, time.Now(), time.Now().Add(30*24*time.Hour)
		for at.Before(end) {
			from := at.Add(time.Minute + time.Duration(rnd.Int64N(int64(48*time.Hour))))
			at = from.Add(time.Second + time.Duration(rnd.Int64N(int64(20*time.Minute))))
			u.outages = append(u.outages, [2]time.Time{from, at})
		}
		pace := NewPace(250 * time.Millisecond)
		var all []*kept
		for i := range 8 {
			var answered error
			if i == 0 {
				answered = media.Fail(media.ClassCredentials, errLost)
			}
			all = append(all, keep(t, Policy{Pace: pace}, u.push(i, answered)))
		}
		for _, o := range u.outages {
			time.Sleep(time.Until(o[1].Add(30 * time.Second)))
			for i, k := range all[1:] {
				if s := k.state(); s.Phase != Active {
					t.Errorf("seed %d: push %d is %s 30 s after %v", seed, i+1, s.Phase, o[1])
				}
			}
		}
		// Outages of seconds end before it is known that nobody is heard.
		if n := u.busiest(); n > 8 {
			t.Errorf("seed %d: %d connects in a second", seed, n)
		}
		// Each outage lets it try more often for as long as nobody hears it.
		if n, most := len(all[0].begun()), 30*24*60+120*len(u.outages); n > most {
			t.Errorf("seed %d: %d attempts at a server that refuses", seed, n)
		}
		for _, k := range all {
			k.stop()
		}
	})
}
