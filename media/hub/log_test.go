package hub

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// item is an entry of the logs under test: n rises by one, every tenth is a start.
type item struct{ n, size int }

func testLog(lim Limits) *Log[item] {
	return NewLog(lim, func(i item) int { return i.size }, func(i item) bool { return i.n%10 == 0 })
}

var roomy = Limits{Entries: 1 << 10, Bytes: 1 << 20, Keep: time.Second}

func fill(l *Log[item], from, to int) {
	for n := from; n < to; n++ {
		l.Append(item{n: n, size: 100})
	}
}

func TestReaderStartsAtTheNewestStart(t *testing.T) {
	l := testLog(roomy)
	fill(l, 0, 25)
	r := l.Reader("t", LastStart)
	defer r.Close()
	v, lost, err := r.Next(t.Context())
	if err != nil || v.n != 20 || lost != 0 {
		t.Fatalf("got %v, lost %d, %v; want entry 20, none lost", v, lost, err)
	}
}

func TestLiveReaderWaitsForTheNextStart(t *testing.T) {
	l := testLog(roomy)
	fill(l, 0, 25)
	r := l.Reader("t", Live)
	defer r.Close()
	var dst [8]item
	if n, lost := r.TryRead(dst[:]); n != 0 || lost != 0 {
		t.Fatalf("read %d, lost %d before the next start", n, lost)
	}
	fill(l, 25, 32)
	n, lost := r.TryRead(dst[:])
	if n != 2 || dst[0].n != 30 || lost != 0 {
		t.Fatalf("read %d entries from %d, lost %d; want 2 from 30, none lost", n, dst[0].n, lost)
	}
}

func TestOvertakenReaderResumesAtTheNewestStartAndIsTold(t *testing.T) {
	l := testLog(Limits{Entries: 30, Bytes: 1 << 20})
	fill(l, 0, 11)
	r := l.Reader("t", LastStart)
	defer r.Close()
	fill(l, 11, 95)
	v, lost, err := r.Next(t.Context())
	if err != nil || v.n != 90 || lost != 80 {
		t.Fatalf("got entry %d, lost %d, %v; want 90 after losing 80", v.n, lost, err)
	}
	if r.Lost() != 80 {
		t.Errorf("Lost() = %d, want 80", r.Lost())
	}
}

func TestAGroupLargerThanTheLogIsSkippedWhole(t *testing.T) {
	l := testLog(Limits{Entries: 5, Bytes: 1 << 20})
	fill(l, 0, 1)
	r := l.Reader("t", LastStart)
	defer r.Close()
	fill(l, 1, 9) // entry 0 is gone, and with it the only start
	var dst [8]item
	if n, _ := r.TryRead(dst[:]); n != 0 {
		t.Fatalf("read %d entries that follow no start", n)
	}
	fill(l, 9, 11)
	if n, _ := r.TryRead(dst[:]); n != 1 || dst[0].n != 10 || r.Lost() != 10 {
		t.Fatalf("read %d from %d, lost %d; want the start 10 after losing 10", n, dst[0].n, r.Lost())
	}
}

func TestLimitsHold(t *testing.T) {
	for name, lim := range map[string]Limits{
		"entries": {Entries: 16, Bytes: 1 << 30, Keep: time.Hour},
		"bytes":   {Entries: 1 << 20, Bytes: 1600, Keep: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			l := testLog(lim)
			for n := range 1000 {
				l.Append(item{n: n, size: 100})
				if entries, bytes := l.Held(); entries > 16 || bytes > 1600 {
					t.Fatalf("holds %d entries, %d bytes after %d", entries, bytes, n)
				}
			}
		})
	}
}

func TestKeepLetsAReaderFallBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLog(Limits{Entries: 1 << 10, Bytes: 1 << 20, Keep: 2 * time.Second})
		for n := range 100 {
			l.Append(item{n: n, size: 1})
			time.Sleep(100 * time.Millisecond)
		}
		// 9.9 s have passed; entries 80..99 are younger than 2 s, 90 is the newest start.
		if entries, _ := l.Held(); entries != 20 && entries != 21 {
			t.Errorf("holds %d entries, want those of the last 2 s", entries)
		}
	})
}

func TestTheNewestGroupStaysHoweverOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLog(Limits{Entries: 1 << 10, Bytes: 1 << 20, Keep: time.Second})
		fill(l, 10, 13)
		time.Sleep(time.Minute)
		fill(l, 13, 15)
		if entries, _ := l.Held(); entries != 5 {
			t.Errorf("holds %d entries, want the 5 from the newest start on", entries)
		}
	})
}

func TestCloseLetsReadersFinish(t *testing.T) {
	l := testLog(roomy)
	fill(l, 0, 2)
	r := l.Reader("t", LastStart)
	defer r.Close()
	l.Close()
	for want := range 2 {
		if v, _, err := r.Next(t.Context()); err != nil || v.n != want {
			t.Fatalf("got %v, %v; want entry %d", v, err, want)
		}
	}
	if _, _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v after the end, want io.EOF", err)
	}
}

func TestForgetIsForNewReadersOnly(t *testing.T) {
	l := testLog(roomy)
	fill(l, 0, 15)
	there := l.Reader("there", LastStart)
	defer there.Close()
	l.Forget()
	later := l.Reader("later", LastStart)
	defer later.Close()
	fill(l, 15, 22)
	if v, lost, err := there.Next(t.Context()); err != nil || v.n != 10 || lost != 0 {
		t.Errorf("who was there got %v, lost %d, %v; want entry 10", v, lost, err)
	}
	if v, lost, err := later.Next(t.Context()); err != nil || v.n != 20 || lost != 0 {
		t.Errorf("who came later got %v, lost %d, %v; want entry 20", v, lost, err)
	}
}

func TestMinorEntriesWakeNobodyForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLog(roomy)
		l.minor = func(i item) bool { return i.n%2 == 1 }
		fill(l, 0, 1)
		r := l.Reader("t", LastStart)
		defer r.Close()
		got := make(chan int, 10)
		go func() {
			var dst [8]item
			for {
				n, _, err := r.Read(t.Context(), dst[:])
				if err != nil {
					return
				}
				got <- n
			}
		}()
		synctest.Wait()
		if n := <-got; n != 1 {
			t.Fatalf("read %d entries, want the first", n)
		}
		fill(l, 1, 2)
		synctest.Wait()
		if len(got) != 0 {
			t.Error("a minor entry woke the reader")
		}
		fill(l, 2, 3)
		if n := <-got; n != 2 {
			t.Errorf("read %d entries, want the minor one with the next", n)
		}
		for n := range 3 { // nothing but minor entries
			l.Append(item{n: 3 + 2*n, size: 1})
			time.Sleep(40 * time.Millisecond)
		}
		synctest.Wait()
		if n := <-got; n != 3 {
			t.Errorf("read %d entries, want all three once the first is 60 ms old", n)
		}
		l.Close()
	})
}

func TestUrgentFollowsReaders(t *testing.T) {
	l := testLog(roomy)
	if l.Urgent() {
		t.Error("urgent without readers")
	}
	a, b := l.Reader("a", Live), l.Reader("b", Live)
	a.Relax()
	a.Relax()
	if !l.Urgent() || l.Readers() != 2 {
		t.Error("one of two readers is urgent")
	}
	b.Close()
	b.Close()
	if l.Urgent() || l.Readers() != 1 {
		t.Error("the relaxed reader alone is not urgent")
	}
	a.Close()
	if l.Urgent() || l.Readers() != 0 {
		t.Error("nobody is left")
	}
}

// TestEverySleeperWakes lets readers come, go and be cancelled while entries
// are appended: whoever stays must see every entry exactly once.
func TestEverySleeperWakes(t *testing.T) {
	const entries, stayers, visitors = 3000, 20, 40
	l := testLog(Limits{Entries: 1 << 14, Bytes: 1 << 30, Keep: time.Hour})
	fill(l, 0, 1)
	var wg sync.WaitGroup
	for range stayers {
		r := l.Reader("stays", LastStart)
		wg.Go(func() {
			defer r.Close()
			for want := 0; ; want++ {
				v, lost, err := r.Next(context.Background())
				if errors.Is(err, io.EOF) {
					if want != entries {
						t.Errorf("saw %d entries, want %d", want, entries)
					}
					return
				}
				if err != nil || v.n != want || lost != 0 {
					t.Errorf("got %v, lost %d, %v; want entry %d", v, lost, err, want)
					return
				}
			}
		})
	}
	stop, cancel := context.WithCancel(t.Context())
	for i := range visitors {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			for stop.Err() == nil {
				ctx, end := context.WithTimeout(stop, time.Duration(rnd.IntN(500))*time.Microsecond)
				r := l.Reader("visits", Live)
				for {
					if _, _, err := r.Next(ctx); err != nil {
						break
					}
				}
				r.Close()
				end()
			}
		})
	}
	fill(l, 1, entries)
	cancel()
	l.Close()
	wg.Wait()
}

func TestASettledReaderHasALeadOfMedia(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration // between two entries; each tenth is a start
		count int
		want  int
	}{
		"the newest start is old enough":           {200 * time.Millisecond, 26, 20},
		"it is not: the one before":                {200 * time.Millisecond, 24, 10},
		"short groups: the first that is":          {40 * time.Millisecond, 54, 20},
		"nothing is old enough: the oldest":        {10 * time.Millisecond, 35, 0},
		"the one before is kept as long as needed": {400 * time.Millisecond, 21, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lim := roomy
				lim.Keep, lim.Lead = 2*time.Second, time.Second
				l := testLog(lim)
				for n := range c.count {
					fill(l, n, n+1)
					time.Sleep(c.every)
				}
				r := l.Reader("t", Settled)
				defer r.Close()
				if v, _, err := r.Next(t.Context()); err != nil || v.n != c.want {
					t.Errorf("starts at %d (%v), want %d", v.n, err, c.want)
				}
			})
		})
	}
}

func TestASettledReaderSeesNothingOfWhatWasForgotten(t *testing.T) {
	lim := roomy
	lim.Lead = time.Minute
	l := testLog(lim)
	fill(l, 0, 25)
	l.Forget()
	fill(l, 25, 45)
	r := l.Reader("t", Settled)
	defer r.Close()
	if v, _, err := r.Next(t.Context()); err != nil || v.n != 30 {
		t.Errorf("starts at %d (%v), want 30", v.n, err)
	}
}
