package keepalive

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// seeds is how many lives TestThirtyDays lives.
const seeds = 1000

// life is thirty days of leases, and what they should be.
type life struct {
	*testing.T
	*site
	rng   *rand.Rand
	store *memory
	k     *Leases
	stop  func()
	wish  map[string]Lease // by id; all that somebody has been promised
	pause map[string]time.Time
	names map[string]Declared
}

// TestThirtyDays lets leases live among cameras that come and go, configurations
// that change, disks that are full, and processes that are killed.
func TestThirtyDays(t *testing.T) {
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &life{
					T: t, site: newSite("a", "b", "c"), rng: rand.New(rand.NewPCG(uint64(seed), 5)), store: new(memory),
					wish: make(map[string]Lease), pause: make(map[string]time.Time),
				}
				l.k, l.stop = start(t, l.site, l.store)
				for end := time.Now().Add(30 * 24 * time.Hour); time.Now().Before(end); {
					l.act()
					time.Sleep(time.Duration(l.rng.Int64N(int64(6 * time.Hour))))
					synctest.Wait()
					l.check()
				}
				l.stop()
				for _, name := range []string{"a", "b", "c"} {
					if l.held(name) != 0 {
						t.Errorf("%d claims on %s after the end", l.held(name), name)
					}
				}
			})
		})
	}
}

// act does something that may happen.
func (l *life) act() {
	path := string("abc"[l.rng.IntN(3)])
	_, _, exists := l.Health(path)
	switch l.rng.IntN(12) {
	case 0, 1:
		r := Request{Path: path}
		if l.rng.IntN(3) > 0 {
			r.TTL = MinTTL + time.Duration(l.rng.Int64N(1<<l.rng.IntN(40)))*1000
		}
		got, err := l.k.Add(l.Context(), r, alice)
		if (err == nil) != exists {
			l.Fatalf("add to %s: %v", path, err)
		}
		if err == nil {
			l.wish[got.ID] = got
		}
	case 2, 3:
		if id := l.some(); id != "" {
			if err := l.k.Remove(l.Context(), id, alice); err != nil {
				l.Fatalf("remove: %v", err)
			}
			delete(l.wish, id)
		}
	case 4:
		if id := l.some(); id != "" {
			got, err := l.k.Renew(l.Context(), id, 0, alice)
			if err != nil || got.State == Expired {
				l.Fatalf("renew: %v, %v", got, err)
			}
			l.wish[id] = got
			delete(l.pause, id)
		}
	case 5, 6:
		if exists {
			l.put(path, []Health{warm, {Reason: "down"}, {Media: true, Reason: "frozen"}}[l.rng.IntN(3)])
		}
	case 7:
		l.dropOrPut(path, exists)
	case 8:
		l.names = make(map[string]Declared)
		for _, name := range []string{"x", "y", "z"}[:l.rng.IntN(4)] {
			l.names[name] = Declared{Path: string("abc"[l.rng.IntN(3)]), Priority: l.rng.IntN(3)}
		}
		l.k.SetDeclared(l.names)
	case 9:
		if id := l.some(); id != "" && l.end(id, "terminated", time.Hour) {
			l.pause[id] = time.Now().Add(time.Hour)
		}
	case 10:
		l.store.fail(errors.New("full"))
		time.AfterFunc(time.Duration(l.rng.Int64N(int64(20*time.Minute))), func() { l.store.fail(nil) })
	case 11:
		l.restart(l.rng.IntN(2) == 0)
	}
}

// some returns one of the leases that are wished for, "" if there is none.
func (l *life) some() string {
	ids := slices.Sorted(maps.Keys(l.wish))
	ids = slices.DeleteFunc(ids, func(id string) bool { _, ok := l.k.Get(id); return !ok })
	if len(ids) == 0 {
		return ""
	}
	return ids[l.rng.IntN(len(ids))]
}

func (l *life) dropOrPut(path string, exists bool) {
	if !exists {
		l.put(path, Health{Reason: "down"})
		l.k.PathAdded(path)
		return
	}
	l.drop(path)
	l.k.PathRemoved(path, "camera removed")
	maps.DeleteFunc(l.wish, func(_ string, w Lease) bool { return w.Path == path })
}

// restart ends the process in good order, or kills it.
func (l *life) restart(kill bool) {
	l.store.fail(nil)
	time.Sleep(2 * retryMost)
	if st := l.k.Status(); !st.Saved {
		l.Fatalf("not saved: %+v", st)
	}
	b, _ := l.store.read()
	l.stop()
	if kill {
		l.store.b = b // what it would have written at its end is not
	}
	before := l.k.List()
	l.k, l.stop = start(l, l.site, l.store)
	l.k.SetDeclared(l.names)
	clear(l.pause)
	for _, was := range before {
		is, ok := l.k.Get(was.ID)
		switch {
		case was.State == Expired:
		case !ok:
			l.Fatalf("lost in a restart: %+v", was)
		case is.TTL > 0 && (is.Expires.Before(was.Expires.Add(-2*time.Second)) ||
			is.Expires.After(was.Expires.Add(slack(is.TTL)+2*time.Second))):
			l.Fatalf("ends at %v, after a restart at %v", was.Expires, is.Expires)
		case was.Owner == OwnerAPI:
			l.wish[was.ID] = is
		}
	}
}

// check holds what is against what should be.
func (l *life) check() {
	now := time.Now()
	claims := make(map[string]int)
	seen, declared := make(map[string]bool), 0
	for _, is := range l.k.List() {
		seen[is.ID] = true
		h, _, exists := l.Health(is.Path)
		paused := l.pause[is.ID].After(now)
		if is.Owner == OwnerConfig {
			declared++
			if d := l.names[is.Name]; d.Path != is.Path || d.Priority != is.Priority {
				l.Fatalf("declared %+v, is %+v", d, is)
			}
		} else if w, ok := l.wish[is.ID]; !ok || !exists {
			l.Fatalf("nobody wants it: %+v", is)
		} else if past := w.TTL > 0 && now.After(w.Expires.Add(time.Second)); past != (is.State == Expired) &&
			(w.TTL == 0 || now.Sub(w.Expires).Abs() > 2*time.Second) {
			l.Fatalf("wished for %+v, is %+v at %v", w, is, now)
		}
		if is.State == Expired {
			continue
		}
		if exists && !paused {
			claims[is.Path]++
		}
		want, _ := stateOf(h, exists)
		if paused {
			want = Waiting
		}
		if is.State != want || (is.Reason == "") != (is.State == Holding) {
			l.Fatalf("path %+v %v: %+v, paused %v", h, exists, is, paused)
		}
	}
	if declared != len(l.names) {
		l.Fatalf("%d declared leases, want %d", declared, len(l.names))
	}
	for id, w := range l.wish {
		if !seen[id] && (w.TTL == 0 || now.Before(w.Expires)) {
			l.Fatalf("lost: %+v", w)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		if l.held(name) != claims[name] {
			l.Fatalf("%d claims on %s, want %d", l.held(name), name, claims[name])
		}
	}
}
