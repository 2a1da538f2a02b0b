package relay

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

var keepalive = Claim{ID: "k1", Kind: ClaimKeepalive, By: "keepalive of bob", Starts: true, Holds: true}

func TestAStoppedCameraStaysStopped(t *testing.T) {
	hold := time.Minute
	tests := []struct {
		name    string
		holdOff time.Duration
		wanted  time.Duration // how long it stays stopped if nothing else happens, 0: for ever
		do      func(s *site, p *Path)
		resumes bool
	}{
		{"until the hold-off ends", hold, hold, func(*site, *Path) {}, false},
		{"until it is started", hold, hold, func(_ *site, p *Path) { p.Start("api") }, true},
		{"until a new keepalive", hold, hold, func(_ *site, p *Path) {
			c := keepalive
			c.Resumes = true
			p.Claim(c)
		}, true},
		{
			"an old keepalive that is attached again changes nothing", hold, hold, func(_ *site, p *Path) { p.Claim(keepalive) },
			false,
		},
		{"a viewer changes nothing and is told why", hold, hold, func(s *site, _ *Path) {
			_, err := s.relay.Subscribe(s.t.Context(), hub.Request{Path: "gate"})
			if !errors.Is(err, hub.ErrUnavailable) || !strings.Contains(err.Error(), "stopped by alice until ") {
				s.t.Errorf("the viewer got %v", err)
			}
		}, false},
		{"an edit changes nothing", hold, hold, func(s *site, p *Path) {
			policy := p.Policy()
			policy.Title = "Gate"
			s.relay.Put("gate", policy)
		}, false},
		{"without a hold-off until somebody wants it", 0, 0, func(_ *site, p *Path) { p.Claim(keepalive) }, true},
		{"without a hold-off it stays if nobody does", 0, 0, func(*site, *Path) {}, false},
		{"without an end not even a viewer starts it", -1, 0, func(s *site, _ *Path) {
			_, _ = s.relay.Subscribe(s.t.Context(), hub.Request{Path: "gate"})
		}, false},
		{"without an end until it is started", -1, 0, func(_ *site, p *Path) { p.Start("api") }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				warm := onDemand
				warm.Warm = true
				p := s.add("gate", warm)
				time.Sleep(time.Minute)
				p.Stop("alice", tt.holdOff)
				if st := p.State(); st.Phase != supervise.Stopped || !strings.HasPrefix(reasonOf(st), "stopped by alice until ") {
					t.Errorf("at once %s: %s", st.Phase, reasonOf(st))
				}
				time.Sleep(30 * time.Second)
				s.expect(false, "while stopped")
				tt.do(s, p)
				time.Sleep(time.Second)
				s.expect(tt.resumes, "after what was done")
				if tt.resumes {
					return
				}
				time.Sleep(28 * time.Second)
				s.expect(false, "at the end of the hold-off")
				time.Sleep(2 * time.Second)
				s.expect(tt.wanted == hold, "after the hold-off")
			})
		})
	}
}

func TestStopAndStartAtOnceReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		warm := onDemand
		warm.Warm = true
		p := s.add("gate", warm)
		time.Sleep(time.Minute)
		p.Stop("alice", time.Minute)
		if !p.Start("alice") || p.Start("alice") {
			t.Error("a stop is to be ended once")
		}
		time.Sleep(time.Second)
		if s.starts.Load() != 2 || p.State().Phase != supervise.Active {
			t.Errorf("%d connections, %s; want another that is active", s.starts.Load(), p.State().Phase)
		}
	})
}

func TestAScheduleStartsAndHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		policy := onDemand
		// The bubble begins at midnight UTC.
		policy.Schedule = scheduleOf("UTC", Window{everyDay, hm(6, 0), hm(22, 0)})
		p := s.add("gate", policy)
		for range 3 {
			time.Sleep(6*time.Hour - time.Second)
			s.expect(false, "before the window")
			d := p.Demand()
			if !strings.Contains(d.Next.What, "opens") || time.Until(d.Next.At) != time.Second || d.Why != nobody {
				t.Errorf("next %+v, %s", d.Next, d.Why)
			}
			time.Sleep(2 * time.Second)
			s.expect(true, "in the window")
			d = p.Demand()
			if !strings.Contains(d.Next.What, "closes") || d.Why != "wanted by keep: 06:00-22:00" || !d.Held {
				t.Errorf("next %+v, %s", d.Next, d.Why)
			}
			time.Sleep(16*time.Hour + 18*time.Second)
			s.expect(true, "within idle_after")
			time.Sleep(2 * time.Second)
			s.expect(false, "after the window")
			time.Sleep(2*time.Hour - 21*time.Second)
		}
		if s.starts.Load() != 3 {
			t.Errorf("%d connections in three days", s.starts.Load())
		}
		policy.Schedule = scheduleOf("UTC", Window{everyDay, 0, hm(24, 0)})
		s.relay.Put("gate", policy)
		time.Sleep(time.Second)
		s.expect(true, "when the schedule was edited")
	})
}

func TestEveryTransitionSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.add("gate", onDemand)
		s.watch("gate").Close(nil)
		time.Sleep(time.Minute)
		release := p.Claim(keepalive)
		time.Sleep(time.Minute)
		p.Stop("alice", time.Minute)
		time.Sleep(30 * time.Second)
		release()
		time.Sleep(time.Minute)
		var got []string
		for _, tr := range p.State().Transitions {
			reason, _, _ := strings.Cut(tr.Reason, " until 2")
			got = append(got, string(tr.Phase)+": "+reason)
		}
		want := []string{
			"starting: wanted by rtsp 192.0.2.1:5000", "active: media arrives", "idle: nobody wants it",
			"starting: wanted by keepalive of bob", "active: media arrives",
			"stopped: stopped by alice", "idle: the hold-off of alice is over, nobody wants it",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("transitions:\n%s", strings.Join(got, "\n"))
		}
		if len(s.told(PathReady)) != 2 || len(s.told(PathNotReady)) != 2 || len(s.told(CameraStopped)) != 1 ||
			len(s.told(CameraStarted)) != 1 {
			t.Errorf("events %+v", s.events)
		}
	})
}

func TestDemandSaysWhatHappensNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.add("gate", onDemand)
		expect := func(why, what string, in time.Duration) {
			t.Helper()
			synctest.Wait()
			d := p.Demand()
			if d.Why != why || d.Next.What != what || what != "" && time.Until(d.Next.At) != in {
				t.Errorf("%q, next %q in %v; want %q, %q in %v", d.Why, d.Next.What, time.Until(d.Next.At), why, what, in)
			}
		}
		expect(nobody, "", 0)
		first, second := s.watch("gate"), s.watch("gate")
		release := p.Claim(keepalive)
		p.Claim(Claim{Kind: ClaimPush, By: "passive"})
		expect("wanted by 1 keepalive, 2 viewers", "", 0)
		if c := p.Claims()[0]; c.ID != first.ID || c.Kind != ClaimViewer {
			t.Errorf("first claim %+v, want that of session %s", c, first.ID)
		}
		first.Close(nil)
		second.Close(nil)
		release()
		expect(nobody, "the camera is closed", 20*time.Second)
		p.Stop("alice", time.Minute)
		time.Sleep(time.Second)
		d := p.Demand()
		expect(d.Stop.String(), "the hold-off ends", 59*time.Second)
		if d.Wanted || d.Held || d.Running {
			t.Errorf("a stopped camera: %+v", d)
		}
		s.fail(media.Fail(media.ClassBusy, errors.New("busy")))
		p.Start("alice")
		defer p.Claim(keepalive)()
		time.Sleep(time.Second)
		expect("wanted by 1 keepalive", "the next attempt", time.Until(p.State().NextRetry))
	})
}
