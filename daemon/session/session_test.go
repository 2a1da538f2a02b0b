package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

func TestEachSessionClosesOnce(t *testing.T) {
	r := NewRegistry()
	s, ctx := r.Open(t.Context(), Info{Kind: Viewer, Path: "gate"}, new(atomic.Uint64))
	var closed atomic.Int32
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if s.Close() {
				closed.Add(1)
			}
		})
	}
	wg.Wait()
	if closed.Load() != 1 || len(r.List()) != 0 || ctx.Err() == nil {
		t.Errorf("closed %d times, %d left, context %v", closed.Load(), len(r.List()), ctx.Err())
	}
}

func TestKickEndsTheSessionsOfAPathWithTheReason(t *testing.T) {
	r := NewRegistry()
	why := errors.New("for a test")
	s1, gate := r.Open(t.Context(), Info{Path: "gate"}, new(atomic.Uint64))
	s2, yard := r.Open(t.Context(), Info{Path: "yard"}, new(atomic.Uint64))
	r.KickPath("gate", why)
	if !errors.Is(context.Cause(gate), why) || yard.Err() != nil {
		t.Errorf("gate ended by %v, yard by %v", context.Cause(gate), yard.Err())
	}
	s1.Close()
	s2.Close()
}

func TestListIsOldestFirst(t *testing.T) {
	r := NewRegistry()
	var ids []string
	for range 5 {
		s, _ := r.Open(t.Context(), Info{}, new(atomic.Uint64))
		ids = append(ids, s.ID)
		defer s.Close()
	}
	for i, s := range r.List() {
		if i > 0 && s.Start.Before(r.List()[i-1].Start) {
			t.Errorf("session %d is older than the one before", i)
		}
	}
	if len(r.List()) != len(ids) {
		t.Errorf("%d sessions, want %d", len(r.List()), len(ids))
	}
}
