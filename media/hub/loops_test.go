package hub

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"camrelay/media"
)

func TestLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStream("gate")
		defer s.Close()
		wants := func(when string, want ...Loop) {
			t.Helper()
			synctest.Wait()
			got := s.Loops()
			for i := range got {
				got[i].ID = nil
			}
			slices.SortFunc(got, func(a, b Loop) int { return strings.Compare(a.Name, b.Name) })
			if !slices.Equal(got, want) {
				t.Errorf("%s: %+v, want %+v", when, got, want)
			}
		}
		wants("nobody reads")
		viewer := s.Units.Reader("a viewer", LastStart)
		defer viewer.Close()
		r := s.Units.Reader("hls", LastStart)
		r.Watch()
		r.Watch()
		s.Units.Append(unit(false))
		wants("it waits for a start", Loop{Name: "hls"})
		s.Units.Append(unit(true))
		wants("it hangs", Loop{Name: "hls", Behind: true})
		if n, _ := r.TryRead(make([]*media.Unit, 9)); n != 1 {
			t.Fatalf("%d units", n)
		}
		wants("it has read everything", Loop{Name: "hls", At: 2})
		r.Close()
		wants("it is closed")

		log, release := Derive(s, counting("mpegts"))
		derived := log.Reader("hls", LastStart)
		derived.Watch()
		s.Units.Append(unit(true))
		wants("one reads what is derived", Loop{Name: "mpegts", At: 3}, Loop{Name: "mpegts/hls", Behind: true})
		derived.Close()
		release()

		view, release := View(s, ViewRecipe{Name: "audio", Run: func(ctx context.Context, _ *Stream) error {
			<-ctx.Done()
			return nil
		}})
		defer release()
		seen := view.Units.Reader("hls", Live)
		defer seen.Close()
		seen.Watch()
		wants("one reads a view", Loop{Name: "audio/hls"})
	})
}

// TestLoopsOfOneName are told apart, and are themselves at each look: one that hangs
// does not hide behind one that has taken its place.
func TestLoopsOfOneName(t *testing.T) {
	s := NewStream("gate")
	defer s.Close()
	place := make(map[any]uint64)
	for at := range uint64(2) {
		r := s.Units.Reader("mpegts", Live)
		defer r.Close()
		r.Watch()
		place[r] = at
		s.Units.Append(unit(true))
	}
	for range 2 {
		all := s.Loops()
		if len(all) != 2 || all[0].ID == all[1].ID {
			t.Fatalf("%+v", all)
		}
		for _, l := range all {
			if at, ok := place[l.ID]; !ok || l.At != at || l.Name != "mpegts" {
				t.Errorf("%+v", l)
			}
		}
	}
}
