package webhook

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatAHookDoesNotWantDisplacesNothing: few events of health wait for a hook
// that is down, while there are many of sessions.
func TestWhatAHookDoesNotWantDisplacesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := inbox{down: true}
		c, l := virtual(t, in.take), NewLog()
		stop := run(deliverer(c, l, "health.*").Run)
		synctest.Wait()
		for i := range 3 {
			l.Append(Event{Type: fmt.Sprintf("health.%d", i)})
			for range 2 * held {
				l.Append(Event{Type: "session.opened"})
			}
			pass(time.Minute)
		}
		in.set(false)
		pass(2 * lastRetry)
		if got := strings.Join(in.types, " "); got != "health.0 health.1 health.2" {
			t.Errorf("delivered %s", got)
		}
		if st := c.Status(); st.Dropped != 0 {
			t.Errorf("%d counted as dropped", st.Dropped)
		}
		stop() // it is context.Canceled
	})
}

// TestAnEditLosesNothing: what the old hook has not taken goes to the new one,
// in order, and the counters go on.
func TestAnEditLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := inbox{}, inbox{}
		l, first := NewLog(), virtual(t, before.take)
		q := l.Queue(first, "")
		stop := run(NewDeliverer(first, q, quiet).Run)
		synctest.Wait()
		fill(l, 1, 3)
		synctest.Wait()
		before.set(true)
		fill(l, 4, 3)
		pass(time.Minute)
		stop()        // it is context.Canceled
		fill(l, 7, 2) // while nobody delivers
		second := virtual(t, after.take)
		q.Edit(second, "e2 e5 e6 e8")
		second.Continue(first.Status())
		stop = run(NewDeliverer(second, q, quiet).Run)
		synctest.Wait()
		if got := strings.Join(after.types, " "); got != "e5 e6 e8" {
			t.Errorf("delivered %s", got)
		}
		was, is := first.Status(), second.Status()
		if is.Delivered != 6 || is.Failed != was.Failed || is.Failed == 0 || is.LastError != was.LastError ||
			is.DegradedSince != nil {
			t.Errorf("status %+v after %+v", is, was)
		}
		q.Close()
		fill(l, 8, 1)
		if n := q.left(); n != 0 {
			t.Errorf("%d events in a queue that is closed", n)
		}
		stop() // it is context.Canceled
	})
}

// TestLossesAreCountedAtOnce: nobody need wait until the next try.
func TestLossesAreCountedAtOnce(t *testing.T) {
	c, l := virtual(t, nil), NewLog()
	q := l.Queue(c, "")
	fill(l, 1, held+5)
	if n := c.Status().Dropped; n != 5 || q.left() != held {
		t.Errorf("%d dropped, %d left", n, q.left())
	}
	if e, ok := q.oldest(); !ok || e.Type != "e6" {
		t.Errorf("the oldest is %+v", e)
	}
}
