package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// staysOff fails the test if the cameras are asked to play before the time is over.
func (f *rowsF) staysOff(t *testing.T, d time.Duration) {
	t.Helper()
	plays := f.cam.requests("PLAY")
	waitFor(t, d)
	if got := f.cam.requests("PLAY"); got != plays {
		t.Errorf("%d connections during the hold-off", got-plays)
	}
}

func (f *rowsF) f17(t *testing.T) {
	f.terminate(`{"name":"cam1","kind":"pull"}`).want(http.StatusOK)
	f.awaitHealth("cam1", "stopped", time.Second)
	c, err := f.camera("cam1")
	if err != nil {
		t.Fatal(err)
	}
	if c.State != "stopped" || c.Stopped == nil || c.Stopped.By != "api" || c.Stopped.Until == nil ||
		!strings.HasPrefix(c.Health.Reason, "stopped by api until ") {
		t.Errorf("%s, %+v, %s", c.State, c.Stopped, c.Health.Reason)
	} else if left := time.Until(*c.Stopped.Until); left < 50*time.Second || left > time.Minute {
		t.Errorf("held off for %v, want a minute", left)
	}
	d := f.call("GET", "/v1/cameras/cam1/demand", "").want(http.StatusOK)
	if d.str("stopped", "by") != "api" || d.at("wanted") != false || d.str("claims", 0, "kind") == "" ||
		d.str("next", "what") != "the hold-off ends" {
		t.Errorf("the ledger does not tell who did it: %s", d.text)
	}
	if _, err := playRTSP(f.rtsp("cam1")); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a viewer during the hold-off: %v", err)
	}
	f.staysOff(t, 3*time.Second)
	f.call("POST", "/v1/cameras/cam1/start", "").want(http.StatusOK)
	f.awaitHealth("cam1", "warm", time.Minute)
	// A viewer that was terminated comes back as it likes.
	v := f.viewer(t, "cam1")
	f.terminate(`{"name":"cam1","published":false}`).want(http.StatusOK)
	v.hasEnded(t, 2*time.Second)
	f.viewer(t, "cam1").watches(t)

	f.terminate(`{"name":"cam1","kind":"pull","holdOff":"4s"}`).want(http.StatusOK)
	f.staysOff(t, 3*time.Second)
	f.awaitHealth("cam1", "warm", time.Minute) // by its policy, with no call

	f.terminate(`{"name":"cam1","kind":"keepalive","holdOff":"2s"}`).want(http.StatusOK)
	const ended = "terminated by api: terminated through the API"
	if r := f.call("GET", "/v3/paths/keepalive/get/"+f.keep, ""); r.str("reason") != ended {
		t.Errorf("a keepalive that was terminated: %s", r.text)
	}
	f.awaitKeepalive(f.keep, "holding", time.Minute) // once its hold-off is over

	f.terminate(`{"name":"cam1","kind":"pull"}`).want(http.StatusOK)
	again := f.call("POST", "/v3/paths/keepalive/add/cam1", "").want(http.StatusOK).str("id")
	f.awaitHealth("cam1", "warm", time.Minute) // by a new keepalive
	f.call("DELETE", "/v3/paths/keepalive/remove/"+again, "").want(http.StatusOK)
}

func (f *rowsF) f17push(t *testing.T) {
	f.terminate(`{"kind":"push"}`).want(http.StatusOK)
	p := f.awaitPush("up", "stopped")
	if p.Stopped == nil || p.Stopped.By != "api" || p.Stopped.Until == nil {
		t.Errorf("%+v", p.Stopped)
	}
	f.call("POST", "/v1/pushes/up/retry", "").want(http.StatusConflict)
	f.call("POST", "/v1/pushes/up/start", "").want(http.StatusOK)
	f.awaitPush("up", "active")
	f.terminate(`{"kind":"push","holdOff":2}`).want(http.StatusOK)
	f.awaitPush("up", "stopped")
	f.awaitPush("up", "active")
	f.call("POST", "/v1/pushes/up/stop", `{"hold_off":"forever"}`).want(http.StatusOK)
	if p := f.awaitPush("up", "stopped"); p.Stopped.Until != nil {
		t.Errorf("stopped until %v, want until it is started", p.Stopped.Until)
	}
	if got := f.ending(f.rows("/v1/sessions/ended?kind=push")[0].text("session_id")); got != "closed_by_us(api)" {
		t.Errorf("reason %q", got)
	}
}

func (f *rowsF) f19(t *testing.T) {
	stopped := f.call("POST", "/v1/pushes/up/stop", "").want(http.StatusOK)
	if stopped.str("stopped", "until") == "" { // hold_off of the configuration
		t.Errorf("stopped for ever by accident: %s", stopped.text)
	}
	f.call("POST", "/v1/pushes/up/start", "").want(http.StatusOK)
	f.call("POST", "/v1/pushes/up/start", "").want(http.StatusConflict)
	f.awaitPush("up", "active")
	f.call("POST", "/v1/pushes/up/start", "").want(http.StatusConflict)
	f.call("POST", "/v1/pushes/nope/start", "").want(http.StatusNotFound)
	found := f.call("POST", "/rest-api/stream/find", `{"kind":"push"}`).want(http.StatusOK)
	if found.str(0, "push") != "up" || found.str(0, "name") != "cam1" || found.at(0, "published") != true ||
		found.at(1) != nil {
		t.Error(found.text)
	}
	if n := len(f.call("POST", "/rest-api/stream/find_all", "").want(http.StatusOK).at().([]any)); n != 3 {
		t.Errorf("%d found, want two pulls and a push", n)
	}
	f.call("POST", "/rest-api/stream/find", `{"name":"nope"}`).want(http.StatusNotFound)
	f.call("POST", "/rest-api/stream/find", `{"names":"cam1"}`).want(http.StatusBadRequest)
	// A camera that nobody wants has nothing to end. One is stopped until it is started only on request.
	f.terminate(`{"name":"lazy"}`).want(http.StatusNotFound)
	d := f.call("POST", "/v1/cameras/cam2/stop", "").want(http.StatusOK)
	if until, err := time.Parse(time.RFC3339, d.str("stopped", "until")); err != nil || time.Until(until) > time.Minute {
		t.Errorf("stopped for ever by accident: %s", d.text)
	}
	for _, wrong := range []string{`{"hold_off":0}`, `{"hold_off":"always"}`, `{"hold_off":-1}`, `{"holdoff":"1s"}`} {
		f.call("POST", "/v1/cameras/cam2/stop", wrong).want(http.StatusBadRequest)
	}
	f.call("POST", "/v1/cameras/cam2/stop", `{"hold_off":"forever"}`).want(http.StatusOK)
	why := f.call("GET", "/v1/cameras/cam2", "").want(http.StatusOK).str("why")
	if why != "stopped by api until it is started" {
		t.Errorf("why: %q", why)
	}
	f.call("POST", "/v1/cameras/cam2/start", "").want(http.StatusOK)
	f.call("POST", "/v1/cameras/nope/start", "").want(http.StatusNotFound)
}

// TestF15_EmptyMeansAll ends everything by an empty filter, as Flashphoner did.
func TestF15_F16_EmptyMeansAllAndWhoMayAsk(t *testing.T) {
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\napi: {listen: \":0\"}\nterminate: {empty_means_all: true, hold_off: 1h}\n"+
		"cameras:\n  cam1: {url: %q}\n", cam.url("cam1")))
	b.awaitHealth("cam1", "warm", time.Minute)
	t.Run("F15 with the configuration's leave", func(t *testing.T) {
		if r := b.terminate(`{}`).want(http.StatusOK); r.at("count") != 1.0 || r.at("holdOff") != 3600.0 {
			t.Error(r.text)
		}
	})
	t.Run("F16 from another host it is refused", func(t *testing.T) {
		_, port, err := net.SplitHostPort(b.addr("api"))
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]int{"127.0.0.1": http.StatusOK, address(t): http.StatusUnauthorized} {
			res, err := http.Get("http://" + net.JoinHostPort(host, port) + "/v1/sessions")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("from %s: status %d, want %d", host, res.StatusCode, want)
			}
		}
	})
}

// address returns an address of this host that is not its loopback.
func address(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	t.Fatal("this host has no address but its loopback: give it one")
	return ""
}

// TestF18_NothingRemains ends and starts a camera with viewers again and again.
func TestF18_NothingRemains(t *testing.T) {
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n"+
		"  cam1: {url: %q, keep: ondemand, idle_after: 1h}\n", cam.url("cam1")))
	round := func() {
		v, err := playRTSP(b.rtsp("cam1"))
		if err != nil {
			t.Fatal(err)
		}
		b.terminate(`{"name":"cam1"}`).want(http.StatusOK)
		v.hasEnded(t, 5*time.Second)
		v.cut()
		eventually(t, 5*time.Second, "the camera is left alone", func() error {
			if n := cam.playing(); n > 0 {
				return fmt.Errorf("%d play", n)
			}
			return nil
		})
		b.call("POST", "/v1/cameras/cam1/start", "").want(http.StatusOK)
	}
	for range 20 { // what is made once is made
		round()
	}
	goroutines, files := b.goroutines(), b.files()
	const rounds = 180
	for range rounds {
		round()
	}
	if left := b.sessions(""); len(left) != 0 {
		t.Errorf("sessions are left: %v", left)
	}
	eventually(t, time.Minute, "goroutines and files are as many as before", func() error {
		g, n := b.goroutines(), b.files()
		if g > goroutines+5 || n > files+5 {
			return fmt.Errorf("%d goroutines, were %d; %d files, were %d", g, goroutines, n, files)
		}
		t.Logf("after %d rounds %d goroutines, were %d; %d files, were %d", rounds, g, goroutines, n, files)
		return nil
	})
	if got, want := cam.requests("TEARDOWN"), cam.requests("PLAY"); got != want {
		t.Errorf("%d TEARDOWN for %d PLAY", got, want)
	}
	if dirs, err := os.ReadDir(filepath.Join(b.runtime, "hls")); err != nil || len(dirs) > 0 {
		t.Errorf("segments are left: %v, %v", dirs, err)
	}
}

// goroutines returns how many the daemon has.
func (b *box) goroutines() int {
	b.t.Helper()
	st, err := b.status()
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Goroutines
}
