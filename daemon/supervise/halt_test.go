package supervise

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAHaltIsNoFailure(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hold  time.Duration
		retry bool          // after half of it
		phase Phase         // meanwhile
		least time.Duration // until the next attempt
		most  time.Duration
	}{
		{"without a hold-off it is tried again soon", 0, false, Reconnecting, 0, 2 * time.Second},
		{"a hold-off is waited for", time.Minute, false, Stopped, time.Minute, time.Minute},
		{"a retry ends the hold-off", time.Minute, true, Stopped, 30 * time.Second, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rounds = 10
				ctx, cancel := context.WithCancel(t.Context())
				retry := make(chan struct{}, 1)
				var last State
				var ended time.Time
				n := 0
				// With a limit of two attempts ten failures would not pass.
				err := Keep(ctx, Policy{Terms: limit(2), Retry: retry}, func(st State) { last = st },
					func(_ context.Context, active func()) error {
						if wait := time.Since(ended); n > 0 && (wait < tc.least || wait > tc.most) {
							t.Errorf("round %d began %v after the halt, want %v to %v", n, wait, tc.least, tc.most)
						}
						if n++; n == rounds {
							cancel()
							return ctx.Err()
						}
						active()
						ended = time.Now()
						if tc.retry {
							time.AfterFunc(tc.hold/2, func() { retry <- struct{}{} })
						}
						return &HaltError{Err: errors.New("terminated by alice"), For: tc.hold}
					})
				if !errors.Is(err, context.Canceled) || n != rounds || len(last.Errors) != 0 {
					t.Errorf("%v after %d rounds, failures %v", err, n, last.Errors)
				}
				found := false
				for _, tr := range last.Transitions {
					found = found || tr.Phase == tc.phase && tr.Reason == "terminated by alice"
				}
				if !found {
					t.Errorf("no transition to %s tells who: %v", tc.phase, last.Transitions)
				}
			})
		})
	}
}
