package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The rows F1 to F7 of the reference: a hook is asked again and again whether a
// session may go on.

// keepaliveHook is the section hooks with on_keepalive alone.
func keepaliveHook(url string) string {
	return fmt.Sprintf("hooks:\n  on_keepalive: {url: %q, interval: 1s, timeout: 1s}\n", url)
}

func TestF1_F6_TheHookIsAskedForEachSession(t *testing.T) {
	cam, rtmp := startFakeCam(t), startRTMPSink(t)
	var refused atomic.Pointer[string] // ID of the session to end
	hook := startHook(t, func(c hookCall) (int, string) {
		if id := refused.Load(); id != nil && c.body["mediaSessionId"] == *id {
			return http.StatusForbidden, ""
		}
		return http.StatusOK, "{}"
	})
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\npushes:\n"+
		"  up: {camera: cam1, url: %q}\n%s", cam.url("cam1"), rtmp.url("key"), keepaliveHook(hook.URL+"/base")))
	b.awaitHealth("cam1", "warm", time.Minute)
	b.awaitPush("up", "active")
	rtsp := b.viewer(t, "cam1")
	b.hls(t, "cam1", "player")
	viewer := b.by(rtsp)
	eventually(t, time.Minute, "F2 F4: each session is asked for five times", func() error {
		for _, s := range b.sessions("") {
			if n := len(hook.calls(ofSession(s.text("session_id")))); n < 5 && s.text("protocol") != "HLS" {
				return fmt.Errorf("%d times for %v", n, s)
			}
		}
		return nil
	})
	published := map[string]any{"pull": true, "push": true, "viewer": false}
	for _, c := range hook.calls(func(hookCall) bool { return true }) {
		kind, _ := c.body["kind"].(string)
		if c.path != "/base/StreamKeepAliveEvent" || c.body["name"] != "cam1" || c.body["published"] != published[kind] ||
			c.body["status"] == nil || c.body["remote_addr"] == nil || c.body["event"] != "StreamKeepAliveEvent" {
			t.Fatalf("F4 F6: %s %s", c.path, c.raw)
		}
	}
	checkIntervals(t, hook.calls(ofSession(viewer)))

	refused.Store(&viewer)
	rtsp.hasEnded(t, 4*time.Second) // the interval and 1 s, and the round that has just been
	if reason := b.ending(viewer); reason != "closed_by_us(hook)" {
		t.Errorf("F5: ended because %s", reason)
	}
	b.hls(t, "cam1", "player")
	if p, err := b.push("up"); err != nil || p.State != "active" {
		t.Errorf("F5: the push: %+v, %v", p.RunStatus, err)
	}
	pull := b.one("kind=pull").text("session_id")
	refused.Store(&pull)
	eventually(t, time.Minute, "F1 F5: the camera is stopped", func() error {
		c, err := b.camera("cam1")
		if err == nil && c.State != "stopped" {
			err = fmt.Errorf("%s: %s", c.State, c.Reason)
		}
		return err
	})
}

func ofSession(id string) func(hookCall) bool {
	return func(c hookCall) bool { return c.body["mediaSessionId"] == id }
}

// checkIntervals fails unless a session is asked for each second, 20 % more or
// less. What the machine delays at one call it has not for the next.
func checkIntervals(t *testing.T, calls []hookCall) {
	t.Helper()
	const interval, spread = time.Second, 200 * time.Millisecond
	good := 0
	for i := 1; i < len(calls); i++ {
		const travel = 100 * time.Millisecond
		if d := calls[i].at.Sub(calls[i-1].at) - interval; d > -spread-travel && d < spread+travel {
			good++
		}
	}
	mean := calls[len(calls)-1].at.Sub(calls[0].at) / time.Duration(len(calls)-1)
	t.Logf("F3: %d intervals of %v, mean %v, %d of them within 20 %%", len(calls)-1, interval, mean, good)
	if 2*good < len(calls)-1 || mean < interval-spread || mean > 2*interval {
		t.Errorf("F3: the session was asked for at %d right intervals of %d, mean %v", good, len(calls)-1, mean)
	}
}

// TestF7_Z10_Z11_Z12_Z13_FaultyHooksHurtNobody runs all hooks against servers
// that fail in each way there is: every stream goes on, nothing is closed, and
// the fault is visible.
func TestF7_Z10_Z11_Z12_Z13_FaultyHooksHurtNobody(t *testing.T) {
	t.Parallel() // it waits most of the time
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	answer := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body)) // the client may be gone
		}
	}
	cam := startFakeCam(t)
	b := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1"))))
	id := b.addKeepalive("cam1")
	b.awaitReady("cam1", true, time.Minute)
	v := b.viewer(t, "cam1")
	for _, fault := range []struct {
		name, fault string // what the status says of both hooks
		handler     http.HandlerFunc
		tls         bool
		asked       string // what it says of on_keepalive alone
	}{
		{name: "500", fault: "500", handler: answer(http.StatusInternalServerError, "")},
		{name: "404", fault: "404", handler: answer(http.StatusNotFound, `{"code":0,"close":true}`)},
		{name: "hangs", fault: "no answer", handler: func(http.ResponseWriter, *http.Request) { <-hang }},
		{name: "redirects in circles", fault: "302", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
		{name: "bad certificate", fault: "certificate", handler: answer(http.StatusForbidden, ""), tls: true},
		{name: "200 MB", asked: "longer", handler: func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat("<", 1<<20))
			for range 200 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}},
		{name: "HTML", handler: answer(http.StatusOK, "<html>login</html>")},
	} {
		t.Run(fault.name, func(t *testing.T) {
			url := serveHook(t, fault.handler, fault.tls)
			b.write(lazySite(keepaliveHook(url)+fmt.Sprintf("  events: {url: %q, timeout: 1s}\n", url),
				lazyCam("cam1", cam.url("cam1"))))
			checkFault(t, b, "on_keepalive", url, fault.fault+fault.asked)
			checkFault(t, b, "events", url, fault.fault)
			v.watches(t)
		})
	}
	t.Run("down", func(t *testing.T) {
		url := "http://127.0.0.1:" + freePort(t, "tcp")
		b.write(lazySite(keepaliveHook(url), lazyCam("cam1", cam.url("cam1"))))
		checkFault(t, b, "on_keepalive", url, "refused")
		v.watches(t)
	})
	if n := cam.requests("PLAY"); n != 1 || len(b.sessions("kind=viewer")) != 1 {
		t.Errorf("%d connections of the camera, sessions %v", n, b.sessions(""))
	}
	b.awaitKeepalive(id, "holding", time.Second)
}

// serveHook runs a hook server and returns its URL.
func serveHook(t *testing.T, h http.HandlerFunc, secure bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.CloseClientConnections)
	return srv.URL
}

// checkFault waits until the status tells of the fault of the hook at url, or
// that it works if there is none: what it says has no effect.
func checkFault(t *testing.T, b *box, hook, url, fault string) {
	t.Helper()
	eventually(t, time.Minute, "the status tells of "+hook, func() error {
		r := b.call("GET", "/v1/status", "")
		degraded, last := r.at("hooks", hook, "degraded_since"), r.str("hooks", hook, "last_error")
		delivered, _ := r.at("hooks", hook, "delivered").(float64)
		switch {
		case r.str("hooks", hook, "url") != url:
			return fmt.Errorf("the hook is %s", r.str("hooks", hook, "url"))
		case fault != "" && (degraded == nil || !strings.Contains(last, fault)):
			return fmt.Errorf("degraded since %v: %s", degraded, last)
		case fault == "" && (degraded != nil || delivered == 0):
			return fmt.Errorf("%v delivered, degraded since %v: %s", delivered, degraded, last)
		}
		return nil
	})
}
