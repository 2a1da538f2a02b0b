package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func asking() Policy {
	policy := onDemand
	policy.OnIdle = IdleAsk
	return policy
}

func TestTheHookDecidesWhetherAnIdleCameraIsClosed(t *testing.T) {
	down := errors.New("cannot reach the hook")
	tests := []struct {
		name    string
		answers []any // of each question: true, false or an error; the last for ever
		closed  time.Duration
	}{
		{"it says close", []any{true}, 20 * time.Second},
		{"it says keep, and is asked again", []any{false, false, true}, 60 * time.Second},
		{"it is down at the moment, and up later", []any{down, down, down, true}, 80 * time.Second},
		{"an error closes nothing, whatever comes with it", []any{down}, 0},
		{"it never says close", []any{false}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.idle = func(_ context.Context, idle Idle) (bool, error) {
					n := int(s.asked.Load()) - 1
					if idle.Asked != n || idle.Path != "gate" {
						t.Errorf("question %d: %+v", n, idle)
					}
					answer := tt.answers[min(n, len(tt.answers)-1)]
					if err, ok := answer.(error); ok {
						return true, err
					}
					return answer.(bool), nil
				}
				s.add("gate", asking())
				s.watch("gate").Close(nil)
				left := time.Now()
				for s.open.Load() > 0 && time.Since(left) < time.Hour {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if got := time.Since(left); got != tt.closed && tt.closed != 0 || tt.closed == 0 && got != time.Hour {
					t.Errorf("closed after %v, want %v", got, tt.closed)
				}
				if n := len(s.told(NoneReader)); n != 1 {
					t.Errorf("told %d times that nobody reads, want once", n)
				}
				if tt.closed == 0 && s.asked.Load() != 180 {
					t.Errorf("asked %d times in an hour, want each 20 s", s.asked.Load())
				}
			})
		})
	}
}

func TestAReaderWhoComesWhileTheHookIsAskedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.idle = func(context.Context, Idle) (bool, error) {
			time.Sleep(3 * time.Second)
			return true, nil
		}
		p := s.add("gate", asking())
		s.watch("gate").Close(nil)
		time.Sleep(21 * time.Second)
		if c := p.Claims(); len(c) != 1 || c[0].Kind != ClaimHook || !c[0].Holds || c[0].Starts {
			t.Errorf("while the hook is asked: %+v", c)
		}
		sub := s.watch("gate")
		time.Sleep(time.Hour)
		s.expect(true, "under a viewer")
		sub.Close(nil)
		time.Sleep(24 * time.Second)
		s.expect(false, "after the viewer has left and the hook was asked again")
		if s.asked.Load() != 2 || s.starts.Load() != 1 {
			t.Errorf("asked %d times, %d connections", s.asked.Load(), s.starts.Load())
		}
	})
}

func TestASlowHookHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.idle = func(ctx context.Context, _ Idle) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}
		p := s.add("gate", asking())
		s.watch("gate").Close(nil)
		time.Sleep(time.Minute)
		p.Stop("alice", time.Minute)
		synctest.Wait()
		s.expect(false, "when stopped")
	})
}

func TestOnIdleKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		policy := onDemand
		policy.OnIdle = IdleKeep
		p := s.add("gate", policy)
		time.Sleep(time.Hour)
		s.expect(false, "before anybody came")
		s.watch("gate").Close(nil)
		time.Sleep(time.Hour)
		s.expect(true, "an hour after the last viewer")
		if c := p.Claims(); len(c) != 1 || c[0].By != "on_idle: keep" || c[0].Starts {
			t.Errorf("the ledger says %+v", c)
		}
		s.relay.Put("gate", onDemand)
		time.Sleep(time.Second)
		s.expect(false, "after the edit")
	})
}

func TestNoneReaderIsToldOncePerCrossing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		warm := onDemand
		warm.Warm = true
		s.add("gate", warm)
		time.Sleep(time.Hour)
		if n := len(s.told(NoneReader)); n != 0 {
			t.Errorf("told %d times of a camera that nobody has read", n)
		}
		s.watch("gate").Close(nil)
		time.Sleep(10 * time.Second)
		s.watch("gate").Close(nil)
		left := time.Now()
		time.Sleep(time.Hour)
		s.watch("gate").Close(nil)
		time.Sleep(time.Hour)
		told := s.told(NoneReader)
		if len(told) != 2 {
			t.Fatalf("told %d times, want twice", len(told))
		}
		if ev := told[0]; !ev.Since.Equal(left) || ev.At.Sub(left) != 20*time.Second || len(ev.Held) != 1 ||
			ev.Held[0].By != "keep: warm" {
			t.Errorf("told %+v", ev)
		}
	})
}

// TestAStoppedRuntimePathExpires: a stop without an end in time keeps no path
// that nobody wants; a hold-off does.
func TestAStoppedRuntimePathExpires(t *testing.T) {
	for _, row := range []struct {
		name    string
		holdOff time.Duration
		claimed bool
		stays   time.Duration // at least, from the stop on; 0: for ever
	}{
		{"until it is wanted again", 0, false, 20 * time.Second},
		{"until it is started", -1, false, 20 * time.Second},
		{"for a while", time.Hour, false, time.Hour},
		{"until it is started, and somebody waits", -1, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				p := s.add("run", s.policy)
				if row.claimed {
					p.Claim(Claim{Kind: ClaimKeepalive, By: "bob", Starts: true, Holds: true})
				}
				time.Sleep(10 * time.Second)
				p.Stop("alice", row.holdOff)
				next := p.Demand().Next
				if row.stays == 0 {
					time.Sleep(24 * time.Hour)
					if s.relay.Path("run") != p || next.What != "" {
						t.Errorf("it goes under a keepalive, %+v", next)
					}
					return
				}
				if d := time.Until(next.At); d != row.stays {
					t.Errorf("%q after %v, want %v", next.What, d, row.stays)
				}
				time.Sleep(row.stays - time.Second)
				if s.relay.Path("run") != p {
					t.Error("it went before its time")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if s.relay.Path("run") != nil || len(s.told(PathExpired)) != 1 {
					t.Error("it is still there")
				}
			})
		})
	}
}
