package supervise

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

// TestSilenceIsNotActive is about a run that stays connected while its source
// is out.
func TestSilenceIsNotActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{Silent: func() string { return "the camera is out" }},
			func(ctx context.Context, active func()) error {
				for n := range 40 {
					if n < 20 || n >= 30 {
						active()
					}
					if err := sleep(ctx, time.Second, nil, nil, nil); err != nil {
						return err
					}
				}
				return errLost
			})
		sleepFor(19500 * time.Millisecond)
		before := k.state()
		if before.Phase != Active || before.Waiting != "" || before.Connected.IsZero() {
			t.Errorf("while media flows: %+v", before)
		}
		sleepFor(10 * time.Second)
		if s := k.state(); s.Phase != Starting || s.Waiting != "the camera is out" || s.Connected != before.Connected {
			t.Errorf("without media for 10 s: %+v", s)
		}
		sleepFor(time.Second)
		if s := k.state(); s.Phase != Active || s.Waiting != "" || s.Connected != before.Connected || len(s.Errors) != 0 {
			t.Errorf("when it has returned: %+v", s)
		}
		if got := phases(k.state()); !slices.Equal(got, []Phase{Starting, Active, Starting, Active}) {
			t.Errorf("transitions %v", got)
		}
		k.stop()
	})
}

// TestAttemptsWaitForTheSource: no attempt is made, and none is counted, as
// long as there is nothing to send; the backoff is waited for all the same.
func TestAttemptsWaitForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := time.Now().Add(10 * time.Minute)
		await := func(ctx context.Context, waiting func(string)) error {
			if d := time.Until(source); d > 0 {
				waiting("the camera is out")
				waiting("the camera is out")
				return sleep(ctx, d, nil, nil, nil)
			}
			return nil
		}
		retry := make(chan struct{}, 1)
		retry <- struct{}{}
		k := keep(t, Policy{Await: await, Retry: retry}, flows(time.Second, errLost))
		sleepFor(9 * time.Minute)
		if s := k.state(); s.Phase != Starting || s.Attempt != 0 || s.Waiting != "the camera is out" || k.reports() != 2 {
			t.Errorf("while it waits: %+v, %d reports", s, k.reports())
		}
		sleepFor(time.Minute + time.Second)
		s := k.state()
		if s.Phase != Reconnecting || s.Attempt != 1 || s.Waiting != "" || !s.Connected.IsZero() || s.Lost.IsZero() {
			t.Errorf("after the first run: %+v", s)
		}
		k.stop()
	})
}

func TestAnErrorOfTheSourceIsOfTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{Terms: limit(1), Await: func(context.Context, func(string)) error { return errLost }},
			flows(time.Hour, errLost))
		if s := k.state(); s.Phase != Failed || s.Attempt != 1 || len(k.begun()) != 0 {
			t.Errorf("%+v", s)
		}
		k.stop()
	})
}

// TestElsewhere goes to and fro between two peers that are both out: each has
// its own backoff.
func TestElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := [2]int{}
		peer, runs := 0, 0
		k := keep(t, Policy{}, func(context.Context, func()) error {
			failures[peer]++
			if runs++; runs%3 == 0 {
				peer = 1 - peer
				return &ElsewhereError{Err: media.Fail(media.ClassRefused, errLost), Failures: failures[peer]}
			}
			return media.Fail(media.ClassRefused, errLost)
		})
		sleepFor(time.Hour)
		if n := len(k.begun()); n < 90 || n > 200 {
			t.Errorf("%d attempts in an hour", n)
		}
		at := k.begun()
		if d := at[3].Sub(at[2]); d > time.Second {
			t.Errorf("the other peer is tried after %v", d)
		}
		var e *ElsewhereError
		if s := k.state(); s.Class != media.ClassRefused || s.Reason != errLost.Error() || errors.As(errLost, &e) {
			t.Errorf("%+v", s)
		}
		k.stop()
	})
}

// TestTermsApplyInPlace changes the limit and the longest pause under way.
func TestTermsApplyInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terms atomic.Pointer[Terms]
		terms.Store(&Terms{Longest: time.Hour})
		fails := func(context.Context, func()) error { return errLost }
		k := keep(t, Policy{Terms: func() Terms { return *terms.Load() }}, fails)
		sleepFor(10 * time.Hour)
		before := len(k.begun())
		terms.Store(&Terms{Longest: 2 * time.Second})
		sleepFor(2 * time.Hour)
		if n := len(k.begun()) - before; n < 1000 {
			t.Errorf("%d attempts in two hours at most two seconds apart", n)
		}
		terms.Store(&Terms{Longest: 2 * time.Second, Limit: 5})
		sleepFor(10 * time.Second)
		if s := k.state(); s.Phase != Failed {
			t.Errorf("with a limit: %s", s.Phase)
		}
		k.stop()
	})
}
