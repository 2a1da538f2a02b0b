package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The rows Z1 to Z15 of the reference: cameras that run only while somebody
// watches, and hooks that decide.

func TestZ1_Z2_Z3_Z5_Z9_IdleCamerasNeedNoHook(t *testing.T) {
	cam := startFakeCam(t)
	cameras := []string{lazyCam("cam1", cam.url("cam1")), lazyCam("cam2", cam.url("cam2"))}
	for i := range 48 {
		cameras = append(cameras, lazyCam(fmt.Sprintf("spare%d", i), cam.url("cam3")))
	}
	b := startBox(t, lazySite("", cameras...))
	events := b.follow(t, "path.none_reader")
	if n := cam.requests("DESCRIBE"); n != 0 {
		t.Errorf("Z9: %d connections to 50 cameras that nobody watches", n)
	}
	v := b.viewer(t, "cam1")
	if n := cam.requests("PLAY"); n != 1 {
		t.Errorf("Z9: %d connections for one viewer", n)
	}
	v.cut()
	left := time.Now()
	eventually(t, idleAfter+10*time.Second, "Z2: none_reader", func() error {
		return more(len(noneReader(events, "cam1")), 0)
	})
	took := time.Since(left).Round(10 * time.Millisecond)
	t.Logf("Z3: none_reader %v after the RTSP viewer left, idle_after is %v", took, idleAfter)
	eventually(t, 10*time.Second, "Z1 Z5: TEARDOWN", func() error { return more(cam.requests("TEARDOWN"), 0) })
	if after := time.Since(left); after < idleAfter {
		t.Errorf("Z3: closed after %v, idle_after is %v", after, idleAfter)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", b.cmd.Process.Pid))
	if err != nil || len(children) > 0 {
		t.Errorf("Z5: children %q, %v", children, err)
	}

	b.hls(t, "cam2", "player")
	left = time.Now()
	eventually(t, idleAfter+20*time.Second, "Z3: HLS counts as a reader, for 1.5 target durations", func() error {
		return more(len(noneReader(events, "cam2")), 0)
	})
	t.Logf("Z3: none_reader %v after the HLS viewer asked last", time.Since(left).Round(10*time.Millisecond))
	b.awaitReady("cam2", false, 10*time.Second)
	if one, two := len(noneReader(events, "cam1")), len(noneReader(events, "cam2")); one != 1 || two != 1 {
		t.Errorf("Z2: %d and %d events, want one each", one, two)
	}
}

func noneReader(events *eventLog, path string) []event {
	return events.find(func(e event) bool { return e.Type == "path.none_reader" && e.Path == path })
}

func TestZ4_TheHookIsAskedAgain(t *testing.T) {
	cam := startFakeCam(t)
	var close atomic.Bool
	hook := startHook(t, func(hookCall) (int, string) {
		if close.Load() {
			return http.StatusOK, `{"code":0,"close":true}`
		}
		return http.StatusServiceUnavailable, "" // as good as lost
	})
	b := startBox(t, lazySite(fmt.Sprintf("hooks:\n  on_none_reader: {url: %q, timeout: 1s}\n", hook.URL),
		fmt.Sprintf("  cam1: {url: %q, idle_after: 1s, on_idle: ask}\n", cam.url("cam1"))))
	b.viewer(t, "cam1").cut()
	eventually(t, 20*time.Second, "the hook is asked again and again", func() error {
		return more(len(hook.calls(func(hookCall) bool { return true })), 2)
	})
	if ready, _ := b.ready("cam1"); !ready || cam.requests("TEARDOWN") != 0 {
		t.Error("closed though the hook has decided nothing")
	}
	for _, key := range []string{"schema", "vhost", "app", "stream", "params", "mediaServerId", "hook_index"} {
		if _, ok := hook.calls(func(hookCall) bool { return true })[0].body[key]; !ok {
			t.Errorf("Z2: no %s in the body", key)
		}
	}
	close.Store(true)
	eventually(t, 10*time.Second, "the hook's word closes it", func() error { return more(cam.requests("TEARDOWN"), 0) })
}

// playMany plays url n times at once, each until it has a picture, and returns
// how each try ended.
func playMany(t *testing.T, n int, url string) (errs []error) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			v, err := playRTSP(url)
			if err == nil {
				eventually(t, 20*time.Second, "a picture", func() error { return more(int(v.bytes.Load()), 1000) })
				v.cut()
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return errs
}

func TestZ6_Z7_UnknownPathsAreAskedForOnce(t *testing.T) {
	const readers = 20
	cam := startFakeCam(t)
	hook := startHook(t, func(c hookCall) (int, string) {
		switch c.body["stream"] {
		case "lazy":
			return http.StatusOK, `{"code":0,"source":"` + cam.url("cam1") + `"}`
		case "dead":
			return http.StatusOK, `{"code":0,"source":"rtsp://127.0.0.1:1/x"}`
		}
		return http.StatusOK, `{"code":0,"close":true,"msg":"no such stream here"}`
	})
	b := startBox(t, lazySite(fmt.Sprintf("hooks:\n  on_not_found: {url: %q}\n", hook.URL)))
	asked := func(stream string) int {
		return len(hook.calls(func(c hookCall) bool { return c.body["stream"] == stream }))
	}
	began := time.Now()
	for _, err := range playMany(t, readers, b.rtsp("lazy")) {
		if err != nil {
			t.Errorf("Z6: %v", err)
		}
	}
	t.Logf("Z6 Z7: %d readers have their pictures after %v", readers, time.Since(began).Round(time.Millisecond))
	if n, plays := asked("lazy"), cam.requests("PLAY"); n != 1 || plays != 1 {
		t.Errorf("Z6: %d calls, %d connections, want one each", n, plays)
	}
	began = time.Now()
	for _, err := range playMany(t, readers, b.rtsp("dead")) {
		if err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("Z6: a dead camera: %v", err)
		}
	}
	took := time.Since(began)
	t.Logf("Z6: all %d have failed after %v", readers, took.Round(time.Millisecond))
	if took > 5*time.Second || asked("dead") != 1 {
		t.Errorf("Z6: a dead camera takes %v and %d calls", took, asked("dead"))
	}
	body := hook.calls(func(hookCall) bool { return true })[0].body
	for _, key := range []string{"schema", "protocol", "vhost", "app", "stream", "params", "ip", "port", "id"} {
		if _, ok := body[key]; !ok {
			t.Errorf("Z6: no %s in %v", key, body)
		}
	}
	if _, err := playRTSP(b.rtsp("nope")); err == nil || !strings.Contains(err.Error(), "404") || asked("nope") != 1 {
		t.Errorf("Z6: refused by the hook: %v, %d calls", err, asked("nope"))
	}
	none := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1"))))
	if _, err := playRTSP(none.rtsp("lazy")); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Z6: without a hook: %v", err)
	}
}

func TestZ6_AnUnknownPathMayBeAddedThroughTheAPI(t *testing.T) {
	cam := startFakeCam(t)
	var b *box
	hook := startHook(t, func(c hookCall) (int, string) {
		name, _ := c.body["stream"].(string)
		b.call("POST", "/v3/config/paths/add/"+name, `{"source":"`+cam.url("cam1")+`"}`).want(http.StatusOK)
		return http.StatusOK, `{"code":0}`
	})
	b = startBox(t, lazySite(fmt.Sprintf("hooks:\n  on_not_found: {url: %q}\n", hook.URL)))
	v, err := playRTSP(b.rtsp("later"))
	if err != nil {
		t.Fatal(err)
	}
	v.watches(t)
	v.cut()
	eventually(t, 20*time.Second, "the path goes when nobody wants it", func() error {
		if r := b.call("GET", "/v3/paths/get/later", ""); r.code != http.StatusNotFound {
			return fmt.Errorf("%s", r.text)
		}
		return nil
	})
}

// TestZ10_CertificatesOfHooks: what is not trusted is named, what is named in
// the configuration is trusted.
func TestZ10_CertificatesOfHooks(t *testing.T) {
	cam := startFakeCam(t)
	var got atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	site := func(tls string) string {
		return fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  cam1: {url: %q}\nhooks:\n  events: {url: %q%s}\n",
			cam.url("cam1"), srv.URL, tls)
	}
	b := startBox(t, site(""))
	checkFault(t, b, "events", srv.URL, "certificate")
	b.awaitHealth("cam1", "warm", 20*time.Second)
	if got.Load() != 0 {
		t.Error("an untrusted server was told something")
	}
	b.write(site(fmt.Sprintf(", tls: {ca_file: %q}", file)))
	eventually(t, 20*time.Second, "events are delivered", func() error {
		b.viewer(t, "cam1").cut()
		return more(int(got.Load()), 0)
	})
}

func TestZ14_IdleCamerasCostNothing(t *testing.T) {
	cam := startFakeCam(t)
	var cameras []string
	for i := range 16 {
		cameras = append(cameras, lazyCam(fmt.Sprintf("cam%d", i), cam.url("cam1")))
	}
	b := startBox(t, lazySite("", cameras...))
	before := b.ticks()
	waitFor(t, 5*time.Second)
	t.Logf("%d ticks of 10 ms of CPU in 5 s, with the race detector", b.ticks()-before)
	if n := cam.requests("DESCRIBE"); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// ticks returns the CPU time of the daemon. File: /proc/PID/stat (proc_pid_stat(5)).
func (b *box) ticks() int {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		b.t.Fatal(err1, err2)
	}
	return user + system
}

// TestZ15_AScheduleKeepsACameraWarm opens a window now that ends with this
// minute or the next.
func TestZ15_AScheduleKeepsACameraWarm(t *testing.T) {
	t.Parallel()
	cam := startFakeCam(t)
	clock := func(at time.Time) string { return at.Format("15:04") }
	now := time.Now()
	b := startBox(t, lazySite("", fmt.Sprintf("  cam1: {url: %q, keep: {warm: \"%s-%s\"}}\n",
		cam.url("cam1"), clock(now), clock(now.Add(time.Minute)))))
	b.awaitHealth("cam1", "warm", 20*time.Second)
	if why := b.call("GET", "/v1/cameras/cam1/demand", "").want(http.StatusOK).text; !strings.Contains(why, "schedule") {
		t.Errorf("demand %s", why)
	}
	eventually(t, time.Minute+idleAfter+10*time.Second, "it closes after the window", func() error {
		return more(cam.requests("TEARDOWN"), 0)
	})
	if ready, _ := b.ready("cam1"); ready {
		t.Error("still ready")
	}
}
