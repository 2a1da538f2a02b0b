package supervise

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

// kept is a call of Keep under test, in a bubble.
type kept struct {
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex // guards what follows
	states []State    // of all reports
	runs   []time.Time
}

type runFunc = func(ctx context.Context, active func()) error

func keep(t *testing.T, p Policy, run runFunc) *kept {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := &kept{t: t, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		k.ended <- Keep(ctx, p, k.report, func(ctx context.Context, active func()) error {
			k.began()
			return run(ctx, active)
		})
	}()
	return k
}

func (k *kept) report(s State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.states = append(k.states, s)
}

func (k *kept) began() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.runs = append(k.runs, time.Now())
}

// state returns the last reported state once nothing moves any more.
func (k *kept) state() State {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.states[len(k.states)-1]
}

// begun returns when the runs began.
func (k *kept) begun() []time.Time {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.runs)
}

// reports returns how often the state was reported.
func (k *kept) reports() int {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.states)
}

// stop ends Keep, which must return without time passing.
func (k *kept) stop() {
	k.t.Helper()
	now := time.Now()
	k.cancel()
	if err := <-k.ended; !errors.Is(err, context.Canceled) || time.Since(now) > 0 {
		k.t.Errorf("Keep returned %v after %s", err, time.Since(now))
	}
}

// limit is a Policy's Terms with a limit of attempts.
func limit(n int) func() Terms { return func() Terms { return Terms{Limit: n} } }

// sleepFor lets time pass in the bubble.
func sleepFor(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// flows is a run that is active at once and ends with err after d.
func flows(d time.Duration, err error) runFunc {
	return func(ctx context.Context, active func()) error {
		active()
		active()
		select {
		case <-time.After(d):
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errLost = errors.New("connection lost")

func phases(s State) []Phase {
	var all []Phase
	for _, t := range s.Transitions {
		all = append(all, t.Phase)
	}
	return all
}

func TestLifeOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		k := keep(t, Policy{}, flows(2*time.Hour, errLost))
		if s := k.state(); s.Phase != Active || s.Attempt != 1 || !s.Since.Equal(begin) || s.Reason != "" {
			t.Errorf("at first: %+v", s)
		}
		sleepFor(time.Minute)
		if s := k.state(); s.Phase != Active || s.Attempt != 0 {
			t.Errorf("after a good minute: %+v", s)
		}
		time.Sleep(2*time.Hour - time.Minute)
		s := k.state()
		if s.Phase != Reconnecting || s.Reason != "connection lost" || time.Until(s.NextRetry) > time.Second {
			t.Errorf("after the loss: %+v", s)
		}
		sleepFor(time.Second)
		s = k.state()
		if s.Phase != Active || s.Attempt != 1 || !s.NextRetry.IsZero() {
			t.Errorf("after coming back: %+v", s)
		}
		if s.Reason != "connection lost" || len(s.Errors) != 1 || s.Errors[0].Message != "connection lost" {
			t.Errorf("the last outage is forgotten: %+v", s)
		}
		if got := phases(s); !slices.Equal(got, []Phase{Starting, Active, Reconnecting, Active}) {
			t.Errorf("transitions %v", got)
		}
		k.stop()
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := make(chan struct{}, 1)
		k := keep(t, Policy{Terms: limit(3), Retry: retry}, func(context.Context, func()) error { return errLost })
		sleepFor(time.Hour)
		s := k.state()
		if s.Phase != Failed || s.Attempt != 3 || len(k.begun()) != 3 || len(s.Errors) != 3 || !s.NextRetry.IsZero() {
			t.Errorf("after an hour %d runs: %+v", len(k.begun()), s)
		}
		retry <- struct{}{}
		if s = k.state(); s.Phase == Failed || s.Attempt != 1 || len(k.begun()) != 4 {
			t.Errorf("after a retry %d runs: %+v", len(k.begun()), s)
		}
		sleepFor(time.Hour)
		if s = k.state(); s.Phase != Failed || len(k.begun()) != 6 {
			t.Errorf("in the end %d runs: %+v", len(k.begun()), s)
		}
		k.stop()
	})
}

// TestLimitCountsAttemptsInARow is about a sink that drops the session again
// and again, each time after more than a good minute.
func TestLimitCountsAttemptsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{Terms: limit(3)}, flows(70*time.Second, errLost))
		sleepFor(time.Hour)
		s := k.state()
		if n := s.Failures[media.ClassNetwork]; int(n) < len(k.begun())-1 {
			t.Errorf("%d failures of %d runs are counted", n, len(k.begun()))
		}
		if s.Phase == Failed || len(k.begun()) < 45 || len(s.Transitions) != maxTransitions || len(s.Errors) != maxErrors {
			t.Errorf("%d runs: %+v", len(k.begun()), s)
		}
		k.stop()
	})
}

func TestFlapDoesNotBypassTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{}, flows(time.Second, errLost))
		sleepFor(30 * time.Minute)
		// Capped at 60 s with an even spread: about one attempt in 31 s.
		if n := len(k.begun()); n < 40 || n > 110 {
			t.Errorf("%d attempts in half an hour", n)
		}
		k.stop()
	})
}

func TestClassesSetTheDelay(t *testing.T) {
	rows := []struct {
		class media.Class
		least time.Duration
	}{
		{media.ClassBusy, 5 * time.Second},
		{media.ClassCredentials, time.Minute},
		{media.ClassUnsupported, time.Minute},
	}
	for _, row := range rows {
		t.Run(row.class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keep(t, Policy{}, func(context.Context, func()) error { return media.Fail(row.class, errLost) })
				sleepFor(10 * time.Minute)
				runs := k.begun()
				for i := range runs[1:] {
					if d := runs[i+1].Sub(runs[i]); d < row.least {
						t.Errorf("attempt %d came after %s", i+2, d)
					}
				}
				if s := k.state(); s.Class != row.class || s.Errors[0].Class != row.class {
					t.Errorf("class %s, %s", s.Class, s.Errors[0].Class)
				}
				k.stop()
			})
		})
	}
}

func TestRetryEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retry := make(chan struct{}, 1)
		k := keep(t, Policy{Retry: retry}, func(context.Context, func()) error {
			return media.Fail(media.ClassCredentials, errLost)
		})
		sleepFor(3 * time.Minute)
		before := len(k.begun())
		retry <- struct{}{}
		if s := k.state(); len(k.begun()) != before+1 || s.Attempt != 1 {
			t.Errorf("%d runs after %d: %+v", len(k.begun()), before, s)
		}
		k.stop()
	})
}

func TestLastStateIsGoneOnFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := func(context.Context, func()) error { return media.Fail(media.ClassCredentials, errLost) }
		k := keep(t, Policy{}, refused)
		last := k.state()
		k.stop()
		last = last.To(Idle, "nobody wants it", time.Now())
		k = keep(t, Policy{Last: last}, refused)
		if s := k.state(); s.Phase != Starting || len(k.begun()) != 0 || s.Reason != "connection lost" {
			t.Errorf("wanted again, %d runs: %+v", len(k.begun()), s)
		}
		sleepFor(75 * time.Second)
		s := k.state()
		if len(k.begun()) != 1 || s.Attempt != 2 || len(s.Errors) != 2 {
			t.Errorf("after the backoff %d runs: %+v", len(k.begun()), s)
		}
		if got := phases(s); !slices.Equal(got, []Phase{Starting, Reconnecting, Idle, Starting, Reconnecting}) {
			t.Errorf("transitions %v", got)
		}
		k.stop()
	})
}

func TestPanicIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		runs := 0
		log := slog.New(slog.NewTextHandler(&out, nil))
		k := keep(t, Policy{Log: log}, func(ctx context.Context, active func()) error {
			if runs++; runs == 1 {
				panic("index out of range")
			}
			return flows(time.Hour, errLost)(ctx, active)
		})
		sleepFor(2 * time.Second)
		if s := k.state(); s.Phase != Active || s.Panics != 1 || s.Reason != "internal error: index out of range" {
			t.Errorf("%+v", s)
		}
		k.stop()
		if n := strings.Count(out.String(), "stack="); n != 1 || !strings.Contains(out.String(), "keep_test.go") {
			t.Errorf("logged %d stacks: %s", n, &out)
		}
	})
}

func TestEndWithoutAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{}, func(context.Context, func()) error { return nil })
		if s := k.state(); s.Phase != Reconnecting || s.Reason != "ended by the peer" {
			t.Errorf("%+v", s)
		}
		k.stop()
	})
}

// TestMediaAtTheVeryEnd is a run that ends right after its first media: it was
// active, and says so.
func TestMediaAtTheVeryEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			k := keep(t, Policy{}, func(_ context.Context, active func()) error {
				active()
				return errLost
			})
			if got := phases(k.state()); !slices.Equal(got, []Phase{Starting, Active, Reconnecting}) {
				t.Fatalf("transitions %v", got)
			}
			k.stop()
		}
	})
}

func TestStopsAtOnceInEveryPhase(t *testing.T) {
	fails := func(context.Context, func()) error { return errLost }
	waits := func(ctx context.Context, _ func()) error {
		<-ctx.Done()
		return ctx.Err()
	}
	rows := []struct {
		name  string
		p     Policy
		run   runFunc
		phase Phase
	}{
		{"while a run is under way", Policy{}, waits, Starting},
		{"while media flows", Policy{}, flows(time.Hour, errLost), Active},
		{"while it waits for the next attempt", Policy{}, fails, Reconnecting},
		{"when it has failed", Policy{Terms: limit(1)}, fails, Failed},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := keep(t, row.p, row.run)
				if s := k.state(); s.Phase != row.phase {
					t.Errorf("phase %s", s.Phase)
				}
				reports := k.reports()
				k.stop()
				if k.reports() != reports {
					t.Errorf("reported after the end: %+v", k.state())
				}
			})
		})
	}
}

func TestAContextThatIsDoneRunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Keep(ctx, Policy{}, func(State) {}, func(context.Context, func()) error {
		t.Error("it ran")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("returned %v", err)
	}
}

// TestReasonIsBounded is about a peer that explains itself at length.
func TestReasonIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t, Policy{}, func(context.Context, func()) error { return errors.New(strings.Repeat("é", 5000)) })
		if s := k.state(); len(s.Reason) > maxReason+3 {
			t.Errorf("%d bytes", len(s.Reason))
		}
		k.stop()
	})
}

func BenchmarkActive(b *testing.B) {
	b.ReportAllocs()
	ctx, cancel := context.WithCancel(b.Context())
	var n atomic.Int64
	_ = Keep(ctx, Policy{}, func(State) {}, func(_ context.Context, active func()) error {
		b.ResetTimer()
		for b.Loop() {
			active()
			n.Add(1)
		}
		cancel()
		return nil
	})
}
