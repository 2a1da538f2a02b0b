package keepalive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestM1_M11_EachLeaseHoldsItsPathByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		k, _ := start(t, s, new(memory))
		first, second := add(t, k, Request{Path: "cam1"}, alice), add(t, k, Request{Path: "cam1"}, alice)
		if first.ID == second.ID || !ValidID(first.ID) || s.held("cam1") != 2 || s.fresh != 2 {
			t.Fatalf("ids %s and %s, %d claims, %d of them fresh", first.ID, second.ID, s.held("cam1"), s.fresh)
		}
		if err := k.Remove(t.Context(), first.ID, alice); err != nil || s.held("cam1") != 1 {
			t.Fatalf("one removed: %v, %d claims", err, s.held("cam1"))
		}
		if err := k.Remove(t.Context(), first.ID, alice); !errors.Is(err, ErrNotFound) {
			t.Errorf("M4: removed twice: %v", err)
		}
		if _, ok := k.Get(first.ID); ok {
			t.Error("M6: a removed lease is there")
		}
		if err := k.Remove(t.Context(), second.ID, alice); err != nil || s.held("cam1") != 0 {
			t.Fatalf("M2: both removed: %v, %d claims", err, s.held("cam1"))
		}
	})
}

func TestM3_WhatNoLeaseCanBeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1", "hall/door")
		k, _ := start(t, s, new(memory))
		for _, row := range []struct {
			name string
			r    Request
			want string
		}{
			{"a path that there is not", Request{Path: "nope"}, ErrNoPath.Error()},
			{"a path with slashes", Request{Path: "hall/door"}, ""},
			{"a path outside", Request{Path: "../x"}, "invalid path name"},
			{"no path", Request{}, "invalid path name"},
			{"an empty element", Request{Path: "a//b"}, "invalid path name"},
			{"a slash at the end", Request{Path: "cam1/"}, "invalid path name"},
			{"a line break", Request{Path: "cam1\n"}, "invalid path name"},
			{"letters that are not ASCII", Request{Path: "cäm"}, "invalid path name"},
			{"a long path", Request{Path: strings.Repeat("a", 256)}, "invalid path name"},
			{"a long label", Request{Path: "cam1", Label: strings.Repeat("a", 201)}, "label"},
			{"a label of two lines", Request{Path: "cam1", Label: "a\nb"}, "label"},
			{"a label that is no text", Request{Path: "cam1", Label: "\xff"}, "label"},
			{"a priority below 0", Request{Path: "cam1", Priority: -1}, "priority"},
			{"a priority above 100", Request{Path: "cam1", Priority: 101}, "priority"},
			{"a negative ttl", Request{Path: "cam1", TTL: -time.Second}, "ttl"},
			{"a ttl of no time", Request{Path: "cam1", TTL: time.Millisecond}, "ttl"},
			{"a ttl of years", Request{Path: "cam1", TTL: 1 << 62}, "ttl"},
			{"everything", Request{Path: "cam1", Label: "Wand ü", Priority: 100, TTL: time.Hour}, ""},
		} {
			_, err := k.Add(t.Context(), row.r, alice)
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v, want %q", row.name, err, row.want)
			}
		}
		if n := len(k.List()); n != 2 || s.held("cam1") != 1 || s.held("hall/door") != 1 {
			t.Errorf("%d leases, %d and %d claims", n, s.held("cam1"), s.held("hall/door"))
		}
	})
}

func TestM5_M7_ListIsInOrderAndComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1", "cam2")
		k, _ := start(t, s, new(memory))
		var want []string
		for i := range 5 {
			l := add(t, k, Request{Path: fmt.Sprintf("cam%d", 1+i%2), Label: "Wall", Priority: i, TTL: time.Minute}, alice)
			want = append(want, l.ID)
		}
		var got []string
		for i, l := range k.List() {
			got = append(got, l.ID)
			if l.CreatorUser != "alice" || l.CreatorIP != "192.0.2.7" || l.Created.IsZero() || l.Label != "Wall" ||
				l.Priority != i || l.TTL != time.Minute || l.Owner != OwnerAPI || l.State != Waiting || !l.Saved ||
				l.Reason != "connection refused" || l.Since.IsZero() || time.Until(l.Expires) > time.Minute {
				t.Errorf("%+v", l)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}

func TestM10_OwnersAndAdminsChangeLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		k, _ := start(t, s, new(memory))
		nobody := Caller{IP: "127.0.0.1"}
		for _, row := range []struct {
			name    string
			creator Caller
			by      Caller
			want    error
		}{
			{"the creator", alice, Caller{User: "alice", IP: "192.0.2.99"}, nil},
			{"another user", alice, Caller{User: "bob"}, ErrNotOwner},
			{"an admin", alice, Caller{User: "root", Admin: true}, nil},
			{"nobody, over somebody with a name", alice, nobody, ErrNotOwner},
			{"nobody with all rights, over somebody with a name", alice, Caller{Admin: true}, ErrNotOwner},
			{"nobody, over what nobody owns", nobody, nobody, nil},
			{"a user, over what nobody owns", nobody, alice, nil},
		} {
			l := add(t, k, Request{Path: "cam1", TTL: time.Hour}, row.creator)
			if _, err := k.Renew(t.Context(), l.ID, 0, row.by); !errors.Is(err, row.want) {
				t.Errorf("%s renews: %v, want %v", row.name, err, row.want)
			}
			if err := k.Remove(t.Context(), l.ID, row.by); !errors.Is(err, row.want) {
				t.Errorf("%s removes: %v, want %v", row.name, err, row.want)
			}
		}
	})
}

func TestM12_LeasesGoWithTheirPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1", "cam2")
		k, _ := start(t, s, new(memory))
		l, other := add(t, k, Request{Path: "cam1"}, alice), add(t, k, Request{Path: "cam2"}, alice)
		s.drop("cam1")
		k.PathRemoved("cam1", "camera removed from the configuration")
		if _, ok := k.Get(l.ID); ok || len(k.List()) != 1 || s.held("cam2") != 1 {
			t.Errorf("left: %v", k.List())
		}
		last := s.events[len(s.events)-1]
		if last.Type != Removed || last.Lease.ID != l.ID || last.Reason != "camera removed from the configuration" {
			t.Errorf("told %+v", last)
		}
		s.put("cam1", warm)
		k.PathAdded("cam1")
		if s.held("cam1") != 0 {
			t.Error("a removed lease has come back")
		}
		if l, _ := k.Get(other.ID); l.Path != "cam2" {
			t.Errorf("the other: %+v", l)
		}
	})
}

func TestM13_M14_M15_LeasesAreReArmedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		k, _ := start(t, s, new(memory))
		begin := time.Now()
		l := add(t, k, Request{Path: "cam1"}, alice)
		if took := time.Since(begin); took > 200*time.Millisecond || l.State != Waiting {
			t.Errorf("M13: %v, %s", took, l.State)
		}
		at := func(h Health, want State, reason string) {
			t.Helper()
			s.put("cam1", h)
			synctest.Wait()
			got, _ := k.Get(l.ID)
			if got.State != want || got.Reason != reason || s.held("cam1") != 1 {
				t.Fatalf("%+v: %s (%s), %d claims", h, got.State, got.Reason, s.held("cam1"))
			}
		}
		want := []EventType{Added}
		for range 20 {
			at(Health{Reason: "no route to host"}, Waiting, "no route to host")
			at(warm, Holding, "")
			time.Sleep(time.Hour)
			at(Health{Media: true, Reason: "no key frame for 12s"}, Degraded, "no key frame for 12s")
			at(warm, Holding, "")
			since := time.Now()
			time.Sleep(time.Minute)
			at(warm, Holding, "")
			if got, _ := k.Get(l.ID); !got.Since.Equal(since) {
				t.Errorf("holding since %v, want %v", got.Since, since)
			}
			at(Health{Reason: "stopped by bob until 12:00"}, Waiting, "stopped by bob until 12:00")
			want = append(want, Attached, Lost, Attached, Lost)
		}
		if got := s.told(l.ID); !slices.Equal(got, want) {
			t.Errorf("told %v", got)
		}
		if s.fresh != 1 {
			t.Errorf("F17: %d claims said that they are new", s.fresh)
		}
	})
}

func TestAwaitEndsWithTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		k, _ := start(t, s, new(memory))
		l := add(t, k, Request{Path: "cam1", TTL: time.Hour}, alice)
		for _, row := range []struct {
			name   string
			do     func()
			want   State
			wantOK bool
		}{
			{"it holds", func() { s.put("cam1", warm) }, Holding, true},
			{"it expires", func() { s.put("cam1", Health{}); synctest.Wait() }, Expired, true},
			{"it is removed", func() {
				if _, err := k.Renew(t.Context(), l.ID, 0, alice); err != nil {
					t.Error(err)
				}
				time.AfterFunc(time.Second, func() { _ = k.Remove(t.Context(), l.ID, alice) })
			}, "", false},
		} {
			row.do()
			got, ok := k.Await(t.Context(), l.ID)
			if ok != row.wantOK || got.State != row.want {
				t.Errorf("%s: %v %s, want %v %s", row.name, ok, got.State, row.wantOK, row.want)
			}
		}
	})
}

func TestThereIsAnEndToLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite("cam1")
		k, _ := start(t, s, new(memory))
		var adds sync.WaitGroup
		for range maxLeases {
			adds.Go(func() { add(t, k, Request{Path: "cam1", TTL: 10 * time.Minute}, alice) })
		}
		adds.Wait()
		if _, err := k.Add(t.Context(), Request{Path: "cam1"}, alice); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(15 * time.Minute)
		if s.held("cam1") != 0 || len(k.List()) != maxLeases {
			t.Errorf("%d claims after their time", s.held("cam1"))
		}
		add(t, k, Request{Path: "cam1"}, alice)
		if s.held("cam1") != 1 {
			t.Errorf("%d claims, want that of the new one alone", s.held("cam1"))
		}
	})
}
