package keepalive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeclaredLeasesFollowTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1", "cam2")
		k, _ := start(t, s, new(memory))
		k.SetDeclared(map[string]Declared{"wall": {Path: "cam1", Label: "Wall", Priority: 9}, "hall": {Path: "cam1"}})
		synctest.Wait()
		first := k.List()
		if len(first) != 2 || first[0].Name != "hall" || first[1].Name != "wall" || first[1].Owner != OwnerConfig ||
			first[1].Label != "Wall" || first[1].Priority != 9 || s.held("cam1") != 2 || s.fresh != 0 {
			t.Fatalf("%+v, %d claims", first, s.held("cam1"))
		}
		wall := first[1].ID
		var declared *DeclaredError
		err := k.Remove(t.Context(), wall, Caller{User: "root", Admin: true})
		if !errors.As(err, &declared) || declared.Name != "wall" || !strings.Contains(err.Error(), "keepalives.wall") {
			t.Errorf("an admin removes it: %v", err)
		}
		if _, err := k.Renew(t.Context(), wall, time.Hour, alice); !errors.As(err, &declared) {
			t.Errorf("somebody renews it: %v", err)
		}
		k.SetDeclared(map[string]Declared{"wall": {Path: "cam2", Label: "Other wall"}})
		synctest.Wait()
		if all := k.List(); len(all) != 1 || all[0].ID != wall || all[0].Path != "cam2" || all[0].Label != "Other wall" ||
			s.held("cam1") != 0 || s.held("cam2") != 1 {
			t.Errorf("moved: %+v, %d and %d claims", all, s.held("cam1"), s.held("cam2"))
		}
		if got := s.told(first[0].ID); !slices.Equal(got, []EventType{Added, Removed}) {
			t.Errorf("of the other was told %v", got)
		}
		s.drop("cam2")
		k.PathRemoved("cam2", "camera removed")
		if l, ok := k.Get(wall); !ok || l.State != Waiting || l.Reason != reasonNoPath {
			t.Errorf("without its path: %v %+v", ok, l)
		}
		k.SetDeclared(nil)
		if got := s.told(wall); !slices.Equal(got, []EventType{Added, Removed}) || len(k.List()) != 0 {
			t.Errorf("not declared any more: told %v, left %v", got, k.List())
		}
	})
}

func TestASuspendedLeaseComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		s.put("cam1", warm)
		k, _ := start(t, s, new(memory))
		l := add(t, k, Request{Path: "cam1"}, alice)
		synctest.Wait()
		for range 3 {
			if !s.end(l.ID, "terminated by bob", time.Minute) {
				t.Fatal("there is no claim of it")
			}
			s.put("cam1", Health{Reason: "off"})
			s.put("cam1", warm)
			k.PathAdded("cam1")
			synctest.Wait()
			if got, _ := k.Get(l.ID); got.State != Waiting || got.Reason != "terminated by bob" || s.held("cam1") != 0 {
				t.Fatalf("suspended: %+v, %d claims", got, s.held("cam1"))
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, _ := k.Get(l.ID); got.State != Holding || s.held("cam1") != 1 {
				t.Fatalf("a minute later: %+v, %d claims", got, s.held("cam1"))
			}
		}
		if s.fresh != 1 {
			t.Errorf("%d claims said that they are new", s.fresh)
		}
	})
}

func TestALeaseEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		s.put("cam1", warm)
		k, _ := start(t, s, new(memory))
		l := add(t, k, Request{Path: "cam1", TTL: time.Minute}, alice)
		for range 10 {
			time.Sleep(50 * time.Second)
			if _, err := k.Renew(t.Context(), l.ID, 0, alice); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if got, _ := k.Get(l.ID); got.State != Holding {
			t.Errorf("just before its end: %+v", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		got, _ := k.Get(l.ID)
		if got.State != Expired || s.held("cam1") != 0 || got.Reason != "its time of 1m0s is over" {
			t.Errorf("at its end: %+v, %d claims", got, s.held("cam1"))
		}
		if got, err := k.Renew(t.Context(), l.ID, 2*time.Minute, alice); err != nil || s.held("cam1") != 1 || s.fresh != 2 {
			t.Errorf("renewed: %+v, %v, %d claims", got, err, s.held("cam1"))
		}
		time.Sleep(2*time.Minute + forgetAfter)
		synctest.Wait()
		if _, ok := k.Get(l.ID); ok {
			t.Error("it is never forgotten")
		}
		want := []EventType{Added, Attached, Ended, Renewed, Attached, Ended}
		if told := s.told(l.ID); !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
}

// TestFlashIsSpared counts writes.
func TestFlashIsSpared(t *testing.T) {
	for _, row := range []struct {
		name string
		most int
		do   func(t *testing.T, k *Leases, s *site)
	}{
		{"100 at once", 3, func(t *testing.T, k *Leases, _ *site) {
			done := make(chan error)
			for range 100 {
				go func() {
					_, err := k.Add(t.Context(), Request{Path: "cam1"}, alice)
					done <- err
				}()
			}
			for range 100 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}},
		{"a day of renewing each 20 s", 2, func(t *testing.T, k *Leases, _ *site) {
			l := add(t, k, Request{Path: "cam1", TTL: time.Minute}, alice)
			for range 24 * 180 {
				time.Sleep(20 * time.Second)
				if _, err := k.Renew(t.Context(), l.ID, 0, alice); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a day of renewing a week each minute", 26, func(t *testing.T, k *Leases, _ *site) {
			l := add(t, k, Request{Path: "cam1", TTL: 7 * 24 * time.Hour}, alice)
			for range 24 * 60 {
				time.Sleep(time.Minute)
				if _, err := k.Renew(t.Context(), l.ID, 0, alice); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a day of a camera that comes and goes", 2, func(t *testing.T, k *Leases, s *site) {
			add(t, k, Request{Path: "cam1"}, alice)
			for i := range 24 * 60 {
				s.put("cam1", []Health{warm, {Reason: "off"}}[i%2])
				time.Sleep(time.Minute)
			}
		}},
		{"an hour of adding and removing as fast as one can", 3600 + 2*writeBurst, func(t *testing.T, k *Leases, _ *site) {
			for end := time.Now().Add(time.Hour); time.Now().Before(end); {
				if err := k.Remove(t.Context(), add(t, k, Request{Path: "cam1"}, alice).ID, alice); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m := newSite("cam1"), new(memory)
				k, stop := start(t, s, m)
				row.do(t, k, s)
				stop()
				if m.writes == 0 || m.writes > row.most {
					t.Errorf("%d writes, want at most %d", m.writes, row.most)
				}
				if got := k.Status().Writes; got != uint64(m.writes) {
					t.Errorf("status says %d of %d writes", got, m.writes)
				}
			})
		})
	}
}

// TestADiskThatHangsHoldsNobodyUp has a write that never ends.
func TestADiskThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := newSite("cam1"), &hanging{free: make(chan struct{})}
		k, stop := start(t, s, h)
		for i := range 3 {
			begin := time.Now()
			l := add(t, k, Request{Path: "cam1", Label: fmt.Sprint(i)}, alice)
			if took := time.Since(begin); took > 200*time.Millisecond || l.Saved || s.held("cam1") != i+1 {
				t.Errorf("after %v, saved %v, %d claims", took, l.Saved, s.held("cam1"))
			}
		}
		close(h.free)
		synctest.Wait()
		time.Sleep(time.Second)
		if l := k.List()[2]; !l.Saved || !k.Status().Saved {
			t.Errorf("it is not saved in the end: %+v", k.Status())
		}
		stop()
		if _, err := k.Add(t.Context(), Request{Path: "cam1"}, alice); !errors.Is(err, ErrClosed) || s.held("cam1") != 0 {
			t.Errorf("after the end: %v, %d claims", err, s.held("cam1"))
		}
	})
}

// hanging is a store that writes once it is free.
type hanging struct {
	memory
	free chan struct{}
}

func (h *hanging) write(b []byte) error {
	<-h.free
	return h.memory.write(b)
}
