package hub

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

// passKeys returns the Run of a view of s that passes on key units while it
// has readers, and counts its calls.
func passKeys(s *Stream, runs *int) func(context.Context, *Stream) error {
	return func(ctx context.Context, view *Stream) error {
		*runs++
		for view.Units.AwaitReader(ctx) == nil {
			r := s.Units.Reader("keys", LastStart)
			for {
				u, _, err := r.Next(ctx)
				if err != nil {
					break
				}
				if len(u.Data) == 0 {
					panic("a unit without data")
				}
				if u.Key {
					view.Units.Append(u)
				}
				if view.Units.Retire() {
					break
				}
			}
			r.Close()
			if s.Closed() {
				return nil
			}
		}
		return nil
	}
}

func unit(key bool) *media.Unit { return &media.Unit{Key: key, Data: [][]byte{{1}}} }

func TestViewRunsFromItsFirstUserToItsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, runs := NewStream("gate"), 0
		defer s.Close()
		recipe := ViewRecipe{Name: "k", Tracks: []*media.Track{{ID: 7}}, About: "keys", Run: passKeys(s, &runs)}
		a, releaseA := View(s, recipe)
		b, releaseB := View(s, recipe)
		if a != b || a.Name() != "gate" || a.Packets != s.Packets || a.Meter != s.Meter || a.About() != "keys" {
			t.Fatal("the two users do not share one view of the stream")
		}
		if tracks, _ := a.Tracks(); len(tracks) != 1 || tracks[0].ID != 7 {
			t.Errorf("tracks %v", tracks)
		}
		s.SetClock(0, Clock{RTP: 9})
		if c, ok := a.Clock(0); !ok || c.RTP != 9 {
			t.Error("the clocks are not those of the stream")
		}
		synctest.Wait()
		if n := s.Units.Readers(); n != 0 {
			t.Errorf("a view that nobody reads has %d readers on its stream", n)
		}

		r := a.Units.Reader("r", LastStart)
		synctest.Wait()
		key := unit(true)
		s.Units.Append(unit(false), key, unit(false))
		if u, _, err := r.Next(t.Context()); u != key || err != nil {
			t.Fatalf("got %v, %v", u, err)
		}
		releaseA()
		releaseA()
		s.Units.Append(key)
		if u, _, err := r.Next(t.Context()); u != key || err != nil {
			t.Fatalf("after one of two users has gone: %v, %v", u, err)
		}
		r.Close()
		s.Units.Append(unit(false))
		synctest.Wait()
		if n := s.Units.Readers(); n != 0 {
			t.Errorf("after the last reader there are %d on the stream", n)
		}
		late := a.Units.Reader("late", LastStart)
		defer late.Close()
		if n, _ := late.TryRead(make([]*media.Unit, 1)); n != 0 {
			t.Error("a later reader got what nobody had kept up")
		}
		releaseB()
		if _, _, err := late.Next(t.Context()); !errors.Is(err, io.EOF) || !a.Closed() || s.Closed() || runs != 1 {
			t.Errorf("after the last user: %v, closed %v and %v, %d runs", err, a.Closed(), s.Closed(), runs)
		}
		c, releaseC := View(s, recipe)
		defer releaseC()
		if c == a {
			t.Error("the ended view was handed out again")
		}
	})
}

func TestViewEndsWithItsStreamAndCanBeDerivedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, runs := NewStream("gate"), 0
		view, release := View(s, ViewRecipe{Name: "k", Run: passKeys(s, &runs)})
		closed := 0
		recipe := counting("x")
		recipe.Close = func() { closed++ }
		log, releaseLog := Derive(view, recipe)
		r := log.Reader("r", LastStart)
		defer r.Close()
		synctest.Wait()
		s.Units.Append(unit(true), unit(false), unit(true))
		for want := 1; want <= 2; want++ {
			if v, _, err := r.Next(t.Context()); err != nil || v.n != want {
				t.Fatalf("got %v, %v", v, err)
			}
		}
		s.Close()
		if _, _, err := r.Next(t.Context()); !errors.Is(err, io.EOF) || log.Err() != io.EOF || !view.Closed() {
			t.Errorf("at the end: %v, %v", err, log.Err())
		}
		if _, err := view.WaitTracks(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("waiting for tracks: %v", err)
		}
		releaseLog()
		release()
		if closed != 1 {
			t.Errorf("the recipe was closed %d times", closed)
		}
	})
}

func TestAPanicEndsAViewAndNotItsStream(t *testing.T) {
	s, runs := NewStream("gate"), 0
	defer s.Close()
	view, release := View(s, ViewRecipe{Name: "k", Run: passKeys(s, &runs)})
	defer release()
	r := view.Units.Reader("r", LastStart)
	defer r.Close()
	s.Units.Append(&media.Unit{Key: true})
	if _, _, err := r.Next(t.Context()); !isPanic(err) || s.Closed() {
		t.Errorf("got %v, the stream is closed: %v", err, s.Closed())
	}
	again, releaseAgain := View(s, ViewRecipe{Name: "k", Run: passKeys(s, &runs)})
	defer releaseAgain()
	if again == view {
		t.Error("the ended view was handed out again")
	}
}

func TestForgetReachesViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, runs := NewStream("gate"), 0
		defer s.Close()
		view, release := View(s, ViewRecipe{Name: "k", Run: passKeys(s, &runs)})
		defer release()
		r := view.Units.Reader("r", LastStart)
		defer r.Close()
		s.Units.Append(unit(true))
		synctest.Wait()
		s.Forget()
		if _, ok := view.Units.LastStart(); ok {
			t.Error("new readers of the view get what was before the outage")
		}
	})
}

func TestAwaitReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testLog(roomy)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.AwaitReader(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a reader: %v", err)
		}
		got := make(chan error, 2)
		for range 2 {
			go func() { got <- l.AwaitReader(t.Context()) }()
		}
		synctest.Wait()
		r := l.Reader("r", Live)
		if a, b := <-got, <-got; a != nil || b != nil {
			t.Errorf("with a reader: %v, %v", a, b)
		}
		r.Close()
		go func() { got <- l.AwaitReader(t.Context()) }()
		synctest.Wait()
		l.Close()
		if err := <-got; !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	})
}
