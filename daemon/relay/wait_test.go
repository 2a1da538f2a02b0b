package relay

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

func TestWhoWaitsForADeadCameraIsToldAtOnce(t *testing.T) {
	tests := []struct {
		name   string
		class  media.Class
		atOnce bool
		told   string
	}{
		{"it refuses connections", media.ClassRefused, true, "the camera, or its stream, is not there"},
		{
			"it refuses the password", media.ClassCredentials, true,
			"the camera refuses the user or password of its configuration",
		},
		{"it offers nothing that can be used", media.ClassUnsupported, true, "the camera delivers nothing that can be used"},
		{"it is busy", media.ClassBusy, false, "the camera has no connection free"},
		{"the connection breaks", media.ClassNetwork, false, "the connection to the camera fails"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.add("gate", onDemand)
				s.fail(media.Fail(tt.class, errors.New("no way")))
				errs, took := s.crowd("gate")
				for _, err := range errs {
					if !errors.Is(err, hub.ErrUnavailable) || !strings.Contains(err.Error(), "no way") {
						t.Errorf("got %v", err)
					}
					if got := hub.Reason(err); got != tt.told {
						t.Errorf("told %q, want %q", got, tt.told)
					}
				}
				want := onDemand.StartTimeout
				if tt.atOnce {
					want = 0
				}
				if took != want || tt.atOnce && s.starts.Load() != 1 {
					t.Errorf("took %v, %d connections; want %v", took, s.starts.Load(), want)
				}
			})
		})
	}
}

// TestASlowCameraIsWaitedFor is done often, since the backoff is a matter of
// chance: the pause that is on when the camera comes back is up to 16 s long.
func TestASlowCameraIsWaitedFor(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			s.add("gate", onDemand)
			s.fail(media.Fail(media.ClassNetwork, errors.New("connection reset")))
			time.AfterFunc(3*time.Second, func() { s.fail(nil) })
			if errs, _ := s.crowd("gate"); errs[0] != nil {
				t.Fatal(errs[0])
			}
		})
	}
}

// TestANewViewerFindsACameraThatHasReturned is about a camera whose next
// attempt is far away.
func TestANewViewerFindsACameraThatHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		warm := onDemand
		warm.Warm = true
		p := s.add("gate", warm)
		s.fail(media.Fail(media.ClassRefused, errors.New("connection refused")))
		time.Sleep(time.Hour)
		for time.Until(p.State().NextRetry) < 10*time.Second || time.Since(p.State().Errors[0].At) < patience {
			time.Sleep(time.Second)
		}
		s.fail(nil)
		if errs, took := s.crowd("gate"); errs[0] != nil || took > time.Second {
			t.Errorf("%v after %v", errs[0], took)
		}
	})
}

func TestAPasswordThatIsRefusedIsNotTriedForViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.add("gate", onDemand)
		s.fail(media.Fail(media.ClassCredentials, errors.New("refused")))
		for range 10 {
			if errs, took := s.crowd("gate"); errs[0] == nil || took > 0 {
				t.Errorf("%v after %v", errs[0], took)
			}
			time.Sleep(5 * time.Second)
		}
		if n := s.starts.Load(); n != 1 {
			t.Errorf("%d attempts in less than a minute, want one", n)
		}
	})
}

func TestViewersAreCountedAndKeepalivesAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		policy := onDemand
		policy.MaxViewers = 1
		p := s.add("gate", policy)
		defer p.Claim(Claim{Kind: ClaimKeepalive, By: "bob", Starts: true, Holds: true})()
		defer p.Claim(Claim{Kind: ClaimPush, By: "up", Starts: true, Holds: true})()
		first := s.watch("gate")
		_, err := s.relay.Subscribe(t.Context(), hub.Request{Path: "gate"})
		if !errors.Is(err, hub.ErrUnavailable) || p.Viewers() != 1 {
			t.Errorf("the second viewer: %v, %d viewers", err, p.Viewers())
		}
		if got := hub.Reason(err); got != "the limit of viewers is reached: 1" {
			t.Errorf("told %q", got)
		}
		first.Close(nil)
		s.watch("gate").Close(nil)
	})
}
