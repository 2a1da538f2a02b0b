package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The row O15 of the reference, pushes at run time, and backup targets.

func TestO4_O15_EditsTouchOnlyWhatTheyChange(t *testing.T) {
	s := startPushSite(t, "")
	first := s.awaitPush("up", "active")
	other := startTap(t, "127.0.0.1:"+s.sink.port)
	b := fmt.Sprintf("  b: {camera: cam1, url: %q}\n", other.url("other"))
	_, ended := startFFmpeg(t, "-rtsp_transport", "tcp", "-i", s.rtsp("cam1"))
	eventually(t, 30*time.Second, "there is a viewer", func() error { return more(s.viewers("cam1"), 0) })
	for _, edit := range []string{"", ", retry: 7s", ", comment: x, priority: 9, limit: 4", ", platform: twitch"} {
		s.write(s.config(s.up(edit) + b))
		s.awaitPush("b", "active")
	}
	eventually(t, time.Minute, "the last edit is there", func() error {
		if p := s.status(); p.Platform != "twitch" || p.Limit != 0 || p.Retry != 60 || len(p.Warnings) != 0 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	if p := s.status(); p.ConnectedAt == nil || !p.ConnectedAt.Equal(*first.ConnectedAt) {
		t.Errorf("connected at %v, before the edits %v", p.ConnectedAt, first.ConnectedAt)
	}
	s.calls(t, 1)
	s.write(s.config(s.up(", retry: 7s") + b))
	eventually(t, time.Minute, "the new pause is shown", func() error {
		if p := s.status(); p.Retry != 7 {
			return fmt.Errorf("%v", p.Retry)
		}
		return nil
	})
	s.write(s.config(s.up(", audio: drop") + b))
	eventually(t, 30*time.Second, "the push begins anew", func() error { return more(len(s.tap.called()), 1) })
	s.awaitPush("up", "active")
	s.calls(t, 2)
	if n := len(other.called()); n != 1 {
		t.Errorf("the other push has called %d times", n)
	}
	select {
	case <-ended:
		t.Error("the viewer was sent away")
	default:
	}
	if n := s.cam.requests("PLAY"); n != 1 {
		t.Errorf("the camera was asked to play %d times", n)
	}
}

// viewers returns how many viewers a camera has.
func (b *box) viewers(camera string) (n int) {
	b.t.Helper()
	st, err := b.status()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, v := range st.Viewers {
		if v.Path == camera {
			n++
		}
	}
	return n
}

func TestO4_PushesAtRunTime(t *testing.T) {
	s := startPushSite(t, "")
	s.awaitPush("up", "active")
	body := fmt.Sprintf(`{"name": "extra", "camera": "cam1", "url": "rtmp://%s/live", "key": %q, "priority": 2}`,
		s.tap.addr, secretKey+"2")
	if r := s.call("POST", "/v1/pushes", body).want(http.StatusCreated); r.str("name") != "extra" || r.str("file") != "" {
		t.Errorf("%s", r.text)
	}
	s.awaitPush("extra", "active")
	s.call("POST", "/v1/pushes", body).want(http.StatusConflict)
	r := s.call("DELETE", "/v1/pushes/up", "").want(http.StatusConflict)
	if !strings.Contains(r.str("detail"), s.box.config()) {
		t.Errorf("%s", r.text)
	}
	s.call("POST", "/v1/pushes/extra/pause", "").want(http.StatusOK)
	s.awaitPush("extra", "stopped")
	s.call("POST", "/v1/pushes/extra/resume", "").want(http.StatusOK)
	s.awaitPush("extra", "active")
	s.call("POST", "/v1/pushes", `{"name": "bad", "camera": "cam9", "url": "rtmp://h/live/x"}`).want(http.StatusBadRequest)
	s.call("DELETE", "/v1/pushes/extra", "").want(http.StatusNoContent)
	s.call("GET", "/v1/pushes/extra", "").want(http.StatusNotFound)
	if _, err := s.push("extra"); err == nil {
		t.Error("it is still listed")
	}
	s.calls(t, 3)
}

func TestO4_ABackupTakesOverAndGivesBack(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := startPushSite(t, "")
	backup := startTap(t, "127.0.0.1:"+s.sink.port)
	events := s.follow(t, "push.*")
	s.write(s.config(s.up(fmt.Sprintf(", backup: {url: %q, failures: 2, return: 4s}", backup.url(secretKey+"b")))))
	s.awaitPush("up", "active")
	s.tap.set(tapCut)
	s.tap.hangUp()
	eventually(t, 60*time.Second, "the backup is used", func() error {
		if p := s.status(); p.State != "active" || p.Target != "backup" {
			return fmt.Errorf("%s by %s: %s", p.State, p.Target, p.Reason)
		}
		return nil
	})
	n := len(s.tap.called())
	eventually(t, 60*time.Second, "the primary is tried beside it", func() error { return more(len(s.tap.called()), n) })
	connected := s.status().ConnectedAt
	s.tap.set(tapPass)
	eventually(t, 60*time.Second, "the primary is used again", func() error {
		if p := s.status(); p.State != "active" || p.Target != "primary" {
			return fmt.Errorf("%s by %s: %s", p.State, p.Target, p.Reason)
		}
		return nil
	})
	if p := s.status(); !p.ConnectedAt.Equal(*connected) {
		t.Error("it was not active in between")
	}
	if n := len(backup.called()); n != 1 {
		t.Errorf("the backup was called %d times", n)
	}
	if n := len(events.find(func(e event) bool { return e.Type == "push.switched" })); n != 2 {
		t.Errorf("%d events of the switch, want 2", n)
	}
}
