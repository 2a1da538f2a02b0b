package supervise

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
)

// TestAPeerThatReturnsIsTriedAtOnce lets a peer be out of reach for ten
// minutes: the attempt after that does not wait for the rest of the pause.
func TestAPeerThatReturnsIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(10 * time.Minute)
		policy := Policy{Returned: func(ctx context.Context) bool {
			if time.Now().After(back) {
				return false
			}
			return sleep(ctx, time.Until(back), nil, nil, nil) == nil
		}}
		k := keep(t, policy, func(ctx context.Context, active func()) error {
			if time.Now().Before(back) {
				return media.Fail(media.ClassRefused, errors.New("out of reach"))
			}
			active()
			<-ctx.Done()
			return ctx.Err()
		})
		time.Sleep(10*time.Minute + time.Second)
		runs := k.begun()
		if at := runs[len(runs)-1]; !at.Equal(back) || len(runs) < 10 {
			t.Errorf("%d runs, the last %v after the return", len(runs), at.Sub(back))
		}
		if st := k.state(); st.Phase != Active || st.Attempt != 1 {
			t.Errorf("%s, attempt %d; want active at the first attempt", st.Phase, st.Attempt)
		}
		k.cancel()
		<-k.ended
	})
}

// TestOnlyFailuresOfTheNetworkAreAskedAbout: a refused password is not healed
// by a port that answers.
func TestOnlyFailuresOfTheNetworkAreAskedAbout(t *testing.T) {
	for class, want := range map[media.Class]bool{
		media.ClassNetwork: true, media.ClassRefused: true,
		media.ClassBusy: false, media.ClassCredentials: false, media.ClassUnsupported: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := false
			k := keep(t, Policy{Returned: func(ctx context.Context) bool {
				asked = true
				<-ctx.Done()
				return false
			}}, func(context.Context, func()) error { return media.Fail(class, errors.New("no")) })
			time.Sleep(5 * time.Minute)
			k.cancel()
			<-k.ended
			if asked != want {
				t.Errorf("class %v: asked %v, want %v", class, asked, want)
			}
		})
	}
}
