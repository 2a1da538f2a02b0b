package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/daemon/api"
)

// The rows O3 to O12 of the reference: pushes that tell the truth.

// pushSite is a camera, a sink with a tap before it, and a daemon.
type pushSite struct {
	*box

	cam  *fakeCam
	sink *rtmpSink
	tap  *tap
}

// secretKey is the stream key of the tests; nothing may ever show it.
const secretKey = "hunter2hunter2"

// startPushSite runs a daemon with cam1, whose push is named up. more is what
// else the push says.
func startPushSite(t *testing.T, more string) *pushSite {
	t.Helper()
	s := &pushSite{cam: startFakeCam(t), sink: startRTMPSink(t)}
	s.tap = startTap(t, "127.0.0.1:"+s.sink.port)
	s.box = startBox(t, s.config(s.up(more)))
	t.Cleanup(s.checkSecrets)
	return s
}

// up is the push with what else it says.
func (s *pushSite) up(more string) string {
	return fmt.Sprintf("  up: {camera: cam1, url: %q%s}\n", s.tap.url(secretKey), more)
}

func (s *pushSite) config(pushes string) string {
	return fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\npushes:\n%s",
		s.cam.url("cam1"), pushes)
}

// checkSecrets looks for the stream key in the log and in all that the API says.
func (s *pushSite) checkSecrets() {
	select {
	case <-s.ended:
	default:
		for _, path := range []string{"/v1/status", "/v1/pushes", "/v1/sessions", "/v1/sessions/ended", "/v1/cameras/cam1"} {
			if r := s.call("GET", path, ""); strings.Contains(r.text, secretKey) {
				s.t.Errorf("%s tells the stream key: %s", path, r.text)
			}
		}
	}
	if strings.Contains(s.log.String(), secretKey) {
		s.t.Error("the log tells the stream key")
	}
}

func (s *pushSite) status() api.PushStatus {
	s.t.Helper()
	p, err := s.push("up")
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// calls fails unless the sink was called so often.
func (s *pushSite) calls(t *testing.T, want int) {
	t.Helper()
	if n := len(s.tap.called()); n != want {
		t.Errorf("the sink was called %d times, want %d", n, want)
	}
}

func TestO4_O3_WhatATargetCannotCarryIsSaid(t *testing.T) {
	cams, sink := startGstCams(t, "0"), startRTMPSink(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  h265: {url: %q}\npushes:\n"+
		"  up: {camera: h265, url: %q, enhanced: off}\n", cams.url("/h265"), sink.url("key")))
	eventually(t, 60*time.Second, "the reason is shown", func() error {
		p, err := b.push("up")
		if err == nil && (len(p.Errors) == 0 || !strings.Contains(p.Errors[0].Message, "H.265")) {
			err = fmt.Errorf("%s: %s, %v", p.State, p.Reason, p.Errors)
		}
		return err
	})
	p, err := b.push("up")
	if err != nil || p.State == "active" || p.ConnectedAt != nil || p.Bytes != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	b.write("version: 1\ncameras:\n  h265: {url: rtsp://c/}\npushes:\n  up: {camera: h265, url: \"foo://x/hunter2\"}\n")
	eventually(t, time.Minute, "the file is refused", func() error {
		text := b.call("GET", "/v1/config/status", "").text
		if !strings.Contains(text, `"key":"pushes.up.url"`) || strings.Contains(text, "hunter2") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
}

func TestO4_O4_O9_O11_ALimitEndsIt(t *testing.T) {
	s := startPushSite(t, ", limit: 3, retry: 2s")
	s.tap.set(tapCut)
	p := s.awaitPush("up", "failed")
	s.calls(t, 3)
	if p.Attempt != 3 || len(p.Errors) != 3 || p.NextRetryAt != nil || p.Limit != 3 || p.Retry != 2 {
		t.Errorf("%+v", p)
	}
	at := s.tap.called()
	for i := range at[1:] {
		if d := at[i+1].Sub(at[i]); d < 250*time.Millisecond || d > 4*time.Second {
			t.Errorf("attempt %d came after %v", i+2, d)
		}
	}
	if a, b := s.call("GET", "/v1/pushes", "").text, s.call("GET", "/v1/pushes", "").text; a != b {
		t.Errorf("two answers differ:\n%s%s", a, b)
	}
	if got := s.status(); got.Status != "failed" {
		t.Errorf("it does not stay failed: %s", got.Status)
	}
	s.tap.set(tapPass)
	s.call("POST", "/v1/pushes/up/retry", "").want(200)
	p = s.awaitPush("up", "active")
	if len(p.Errors) != 3 || p.ConnectedAt == nil {
		t.Errorf("the last outage is forgotten: %+v", p)
	}
}

func TestO4_O5_TheSnapshot(t *testing.T) {
	s := startPushSite(t, ", comment: Town hall, priority: 5")
	s.awaitPush("up", "active")
	eventually(t, time.Minute, "a bit rate is measured", func() error {
		r := s.call("GET", "/v1/pushes", "")
		if rate, _ := r.at("items", 0, "bitrate_kbits").(float64); rate <= 0 {
			return fmt.Errorf("%s", r.text)
		}
		return nil
	})
	r := s.call("GET", "/v1/cameras/cam1", "")
	if r.str("pushes", 0, "url") != s.tap.url("***") || r.str("pushes", 0, "status") != "active" ||
		r.str("pushes", 0, "connected_at") == "" || r.at("pushes", 0, "attempt") == nil || r.at("pushes", 0, "bytes") == 0.0 {
		t.Errorf("%s", r.text)
	}
	s.tap.set(tapCut)
	s.tap.hangUp()
	s.awaitPush("up", "reconnecting")
	r = s.call("GET", "/v1/pushes/up", "")
	if _, there := r.at().(map[string]any)["connected_at"]; there || r.str("last_disconnect") == "" ||
		r.str("errors", 0, "message") == "" || r.str("comment") != "Town hall" {
		t.Errorf("%s", r.text)
	}
}

func TestO4_O6_O10_TheCameraIsWaitedFor(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := startPushSite(t, "")
	s.awaitPush("up", "active")
	s.calls(t, 1)
	for range 3 { // a camera that flaps calls nobody
		s.cam.off()
		eventually(t, 40*time.Second, "the push says that it has no media", func() error {
			if p := s.status(); p.State != "starting" || !strings.Contains(p.Reason, "camera cam1") || p.ConnectedAt != nil {
				return fmt.Errorf("%s: %s", p.State, p.Reason)
			}
			return nil
		})
		s.cam.on()
		s.awaitPush("up", "active")
	}
	s.calls(t, 1)
	s.cam.off()
	s.restart(s.stop)
	eventually(t, time.Minute, "it waits", func() error {
		if p := s.status(); p.State != "starting" || !strings.Contains(p.Reason, "camera cam1") || p.Attempt != 0 {
			return fmt.Errorf("%s: %s, attempt %d", p.State, p.Reason, p.Attempt)
		}
		return nil
	})
	s.calls(t, 1)
	s.cam.on()
	s.awaitPush("up", "active")
	s.calls(t, 2)
}

func TestO4_O7_O12_ActiveIsMedia(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := startPushSite(t, ", timeout: 3s")
	events := s.follow(t, "push.*")
	s.tap.set(tapMute)
	s.tap.hangUp()
	eventually(t, 30*time.Second, "a sink that says nothing is given up", func() error {
		muted := len(s.tap.called()) > 1
		p := s.status()
		if muted && p.State == "active" {
			t.Fatal("it reads active without media")
		}
		return more(len(p.Errors), 1)
	})
	s.tap.set(tapPass)
	s.awaitPush("up", "active")
	before := len(events.find(func(event) bool { return true }))
	s.tap.hangUp()
	eventually(t, 30*time.Second, "the outage is over", func() error {
		return more(len(events.find(func(e event) bool { return e.Type == "push.active" })), 1)
	})
	var types []string
	for _, e := range events.find(func(event) bool { return true })[before:] {
		types = append(types, e.Type)
	}
	if got := strings.Join(types, " "); got != "push.reconnecting push.active" {
		t.Errorf("one outage is %s", got)
	}
	if p := s.status(); len(p.Errors) == 0 || p.LastDisconnect == nil {
		t.Errorf("%+v", p)
	}
}

func TestO4_O8_AStoppedSinkIsLeft(t *testing.T) {
	const timeout = 3 * time.Second
	s := startPushSite(t, "")
	s.write(s.config(fmt.Sprintf("  up: {camera: cam1, url: %q, timeout: 3s}\n", s.sink.url("direct"))))
	eventually(t, 30*time.Second, "the sink is pushed to without the tap", func() error {
		if p := s.status(); p.State != "active" || p.URL != s.sink.url("***") {
			return fmt.Errorf("%s: %s to %s", p.State, p.Reason, p.URL)
		}
		return nil
	})
	eventually(t, 30*time.Second, "there is HLS", func() error { _, err := s.playlist("cam1/hls.m3u8"); return err })
	plays := s.cam.requests("PLAY")
	stopped := time.Now()
	if err := s.sink.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p := s.awaitPush("up", "reconnecting")
	for _, tr := range p.Transitions {
		if tr.State == "reconnecting" {
			d := tr.At.Sub(stopped)
			// The sink's kernel takes some seconds of this small picture before
			// it says that it is full.
			if d > timeout+5*time.Second {
				t.Errorf("it was noticed after %v", d)
			}
			t.Logf("noticed after %v: %s", d, p.Reason)
		}
	}
	if err := s.sink.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.awaitPush("up", "active")
	if n := s.cam.requests("PLAY"); n != plays {
		t.Errorf("the camera was asked %d times to play", n-plays)
	}
	s.checkNoGap("cam1")
}
