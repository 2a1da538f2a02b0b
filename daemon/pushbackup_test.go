package daemon

import (
	"errors"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/supervise"
)

func TestChoice(t *testing.T) {
	both := pushTerms{backup: targetSpec{scheme: "rtmp"}, failures: 3, after: 30 * time.Second}
	type step struct {
		after, flowed time.Duration
		switched      bool
	}
	for _, row := range []struct {
		name  string
		terms pushTerms
		steps []step
	}{
		{"without a backup nothing changes", pushTerms{}, []step{{0, 0, false}, {time.Hour, 0, false}}},
		{"after three failures", both, []step{{0, 0, false}, {time.Second, 0, false}, {time.Second, 0, true}}},
		{"after half a minute", both, []step{{0, 0, false}, {30 * time.Second, 0, true}}},
		{"media in between is no failure less", both, []step{
			{0, time.Second, false}, {20 * time.Second, time.Second, false}, {20 * time.Second, time.Second, true},
		}},
		{"a minute of media is", both, []step{
			{0, 0, false},
			{20 * time.Second, 0, false},
			{time.Hour, time.Minute, false},
			{time.Second, 0, false},
			{time.Second, 0, true},
		}},
		{"to and fro", both, []step{
			{0, 0, false},
			{0, 0, false},
			{0, 0, true},
			{0, 0, false},
			{time.Hour, 0, false},
			{0, 0, true},
			{0, 0, false},
			{0, 0, false},
			{0, 0, true},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var c choice
			now := time.Now()
			for i, s := range row.steps {
				now = now.Add(s.after)
				if got := c.ended(row.terms, s.flowed, now); got != s.switched {
					t.Errorf("step %d: switched %v", i+1, got)
				}
			}
		})
	}
}

const withBackup = "  up: {camera: gate, url: \"rtmp://a/live/key\", " +
	"backup: {url: \"rtmp://b/live/key\", failures: 3, after: 5m, return: 10m}}\n"

// TestBackupTakesOver lets the primary target fail, return, and fail again.
func TestBackupTakesOver(t *testing.T) {
	bubble(t, func(r *pushRig) {
		down := errors.New("closed by the server")
		r.plan(withBackup)
		r.pass(2 * time.Minute)
		r.heard("up")
		r.say("a:1935", down)
		r.pass(30 * time.Second)
		st := r.status("up")
		if !st.OnBackup || st.State.Phase != supervise.Active || r.count("b:1935") != 1 || st.Backup != "rtmp://b/live/***" {
			t.Errorf("%+v", st)
		}
		r.pass(time.Hour)
		if n := r.count("a:1935"); n < 9 || n > 11 || r.count("b:1935") != 1 {
			t.Errorf("the primary was tried %d times in an hour, the backup %d", n, r.count("b:1935"))
		}
		connected := r.status("up").State.Connected
		r.say("a:1935", nil)
		r.pass(11 * time.Minute)
		if st := r.status("up"); st.OnBackup || st.State.Phase != supervise.Active || st.State.Connected != connected {
			t.Errorf("after the return %+v", st)
		}
		if r.now("a:1935") != 1 || r.now("b:1935") != 0 {
			t.Errorf("%d sessions with the primary, %d with the backup", r.now("a:1935"), r.now("b:1935"))
		}
		if got := r.heard("up"); got != "reconnecting switched active switched" {
			t.Errorf("events %s", got)
		}
	})
}

func TestBothTargetsFail(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.say("a:1935", errors.New("no"))
		r.say("b:1935", errors.New("no"))
		r.plan(withBackup)
		r.pass(time.Hour)
		if a, b := r.count("a:1935"), r.count("b:1935"); a < 30 || a > 120 || b < 30 || b > 120 {
			t.Errorf("%d and %d attempts in an hour", a, b)
		}
		r.say("b:1935", nil)
		r.pass(10 * time.Minute)
		if st := r.status("up"); !st.OnBackup || st.State.Phase != supervise.Active {
			t.Errorf("%+v", st)
		}
		if err := r.Stop("up", "alice", -1); err != nil {
			t.Error(err)
		}
		r.pass(time.Minute)
		r.wantPhase("up", supervise.Stopped)
		if n := r.now("b:1935"); n != 0 {
			t.Errorf("%d sessions", n)
		}
		if err := r.Start("up", "alice"); err != nil || !errors.Is(r.Start("up", "alice"), api.ErrRuns) {
			t.Error(err)
		}
		r.pass(time.Second)
		r.wantPhase("up", supervise.Active)
	})
}

// TestABackupThatFailsDuringATrial is connected again, however long the primary
// target takes to show whether it works.
func TestABackupThatFailsDuringATrial(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.say("a:1935", errors.New("no"))
		r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", " +
			"backup: {url: \"rtmp://b/live/key\", failures: 20, after: 1m, return: 10m}}\n")
		r.pass(5 * time.Minute)
		r.say("a:1935", errMute)
		r.pass(10 * time.Minute)
		if r.now("a:1935") != 1 || r.now("b:1935") != 1 {
			t.Fatalf("%d sessions with the primary, %d with the backup", r.now("a:1935"), r.now("b:1935"))
		}
		r.say("b:1935", errors.New("closed by the server"))
		r.pass(2 * time.Second)
		r.say("b:1935", nil)
		r.pass(time.Minute)
		if st := r.status("up"); !st.OnBackup || st.State.Phase != supervise.Active || r.now("b:1935") != 1 {
			t.Errorf("%d sessions with the backup: %+v", r.now("b:1935"), st)
		}
	})
}

// TestAnEditOfTheBackup touches the push only while the backup is in use.
func TestAnEditOfTheBackup(t *testing.T) {
	bubble(t, func(r *pushRig) {
		r.plan(withBackup)
		r.pass(time.Minute)
		edit := func(to string) {
			r.plan("  up: {camera: gate, url: \"rtmp://a/live/key\", backup: {url: \"rtmp://" + to +
				"/live/key\", after: 1m, return: 0s}}\n")
		}
		edit("c")
		r.pass(time.Minute)
		if r.count("a:1935") != 1 {
			t.Error("the primary was touched")
		}
		r.say("a:1935", errors.New("no"))
		r.pass(time.Hour)
		if r.count("c:1935") != 1 || r.count("a:1935") != 3 {
			t.Errorf("%d sessions with the backup, %d with the primary", r.count("c:1935"), r.count("a:1935"))
		}
		edit("d")
		r.pass(3 * time.Second)
		if st := r.status("up"); r.now("c:1935") != 0 || r.now("d:1935") != 1 || st.State.Phase != supervise.Active {
			t.Errorf("%+v", st)
		}
		r.say("a:1935", nil)
		r.plan(one)
		r.pass(3 * time.Second)
		if st := r.status("up"); r.now("a:1935") != 1 || r.now("d:1935") != 0 || st.Backup != "" {
			t.Errorf("%+v", st)
		}
	})
}
