package main

import (
	"encoding/pem"
	"fmt"
	"io"
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

	"camrelay/media/mediatest"
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
	checkNoneReader(t, events, "cam1", left, time.Second)
	eventually(t, time.Minute, "Z1 Z5: TEARDOWN", func() error { return more(cam.requests("TEARDOWN"), 0) })
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
	checkNoneReader(t, events, "cam2", left, 3*time.Second+time.Second) // 1.5 target durations of 2 s
	b.awaitReady("cam2", false, time.Minute)
	if one, two := len(noneReader(events, "cam1")), len(noneReader(events, "cam2")); one != 1 || two != 1 {
		t.Errorf("Z2: %d and %d events, want one each", one, two)
	}
}

// checkNoneReader fails unless the box has said after the delay that nobody
// reads a camera: idle_after, and as much more as the reference gives it.
func checkNoneReader(t *testing.T, events *eventLog, path string, left time.Time, more time.Duration) {
	t.Helper()
	took := noneReader(events, path)[0].Time.Sub(left)
	if took < idleAfter-time.Second {
		t.Errorf("Z3: none_reader of %s after %v, idle_after is %v", path, took, idleAfter)
	}
	punctual(t, "Z3: none_reader of "+path, took, idleAfter+more)
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
	eventually(t, time.Minute, "the hook is asked again and again", func() error {
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
	eventually(t, time.Minute, "the hook's word closes it", func() error { return more(cam.requests("TEARDOWN"), 0) })
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
				eventually(t, time.Minute, "a picture", func() error { return more(int(v.bytes.Load()), 1000) })
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
	body := hook.calls(func(hookCall) bool { return true })[0].body
	for _, key := range []string{"schema", "protocol", "vhost", "app", "stream", "params", "ip", "port", "id"} {
		if _, ok := body[key]; !ok {
			t.Errorf("Z6: no %s in %v", key, body)
		}
	}
	none := startBox(t, lazySite("", lazyCam("cam1", cam.url("cam1"))))
	if _, err := playRTSP(none.rtsp("lazy")); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("Z6: without a hook: %v", err)
	}
}

// TestZ6_WhoWaitsIsToldWhy lets 20 readers of each kind of dead camera fail
// together, with the reason, and not at the end of start_timeout.
func TestZ6_WhoWaitsIsToldWhy(t *testing.T) {
	const readers, startTimeout = 20, time.Minute
	sources := map[string]string{"refuses": "127.0.0.1:1", "deaf": mediatest.Deaf(t)}
	hook := startHook(t, func(c hookCall) (int, string) {
		if source := sources[fmt.Sprint(c.body["stream"])]; source != "" {
			return http.StatusOK, `{"code":0,"source":"rtsp://` + source + `/secret"}`
		}
		return http.StatusOK, `{"code":0,"close":true,"msg":"try next door"}`
	})
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ndefaults: {start_timeout: %v}\n"+
		"hooks: {on_not_found: {url: %q}}\n", startTimeout, hook.URL))
	const notThere = "the camera, or its stream, is not there"
	for stream, want := range map[string]string{
		"refuses": "503 " + notThere, "deaf": "503 " + notThere, "nope": "404 no such stream: try next door",
	} {
		began := time.Now()
		for _, err := range playMany(t, readers, b.rtsp(stream)) {
			if err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("Z6: RTSP of %s: %v, want %s", stream, err, want)
			}
		}
		took := time.Since(began)
		punctual(t, "Z6: RTSP of "+stream, took, 5*time.Second)
		if took >= startTimeout {
			t.Errorf("Z6: RTSP of %s: all wait for start_timeout", stream)
		}
		if n := len(hook.calls(func(c hookCall) bool { return c.body["stream"] == stream })); n != 1 {
			t.Errorf("Z6: %d calls for %s, want one", n, stream)
		}
		for _, file := range []string{"/index.m3u8", "/mpegts"} {
			res, err := http.Get(b.http(stream + file))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if got := fmt.Sprintf("%d %s", res.StatusCode, strings.TrimSpace(string(text))); got != want || err != nil {
				t.Errorf("Z6: %s%s: %q, %v, want %q", stream, file, got, err, want)
			}
		}
		if lines := strings.Count(b.log.String(), "msg=\"viewer refused\" cam="+stream+" protocol=rtsp"); lines != 1 {
			t.Errorf("Z6: %d lines in the log for %s", lines, stream)
		}
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
	eventually(t, time.Minute, "the path goes when nobody wants it", func() error {
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
	b.awaitHealth("cam1", "warm", time.Minute)
	if got.Load() != 0 {
		t.Error("an untrusted server was told something")
	}
	b.write(site(fmt.Sprintf(", tls: {ca_file: %q}", file)))
	eventually(t, time.Minute, "events are delivered", func() error {
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
	punctual(t, "Z14: CPU in 5 s", time.Duration(b.ticks()-before)*10*time.Millisecond, 100*time.Millisecond) // 2 %
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

// TestZ15_AScheduleKeepsACameraWarm opens a window now, which ends with this
// minute, or with the next one if this is nearly over.
func TestZ15_AScheduleKeepsACameraWarm(t *testing.T) {
	t.Parallel()
	cam := startFakeCam(t)
	clock := func(at time.Time) string { return at.Format("15:04") }
	now := time.Now()
	end := now.Truncate(time.Minute).Add(time.Minute)
	if end.Sub(now) < 30*time.Second {
		end = end.Add(time.Minute)
	}
	b := startBox(t, lazySite("", fmt.Sprintf("  cam1: {url: %q, keep: {warm: \"%s-%s\"}}\n",
		cam.url("cam1"), clock(now), clock(end))))
	b.awaitHealth("cam1", "warm", time.Minute)
	if why := b.call("GET", "/v1/cameras/cam1/demand", "").want(http.StatusOK).text; !strings.Contains(why, "schedule") {
		t.Errorf("demand %s", why)
	}
	eventually(t, time.Until(end)+idleAfter+30*time.Second, "it closes after the window", func() error {
		return more(cam.requests("TEARDOWN"), 0)
	})
	if closed := time.Now(); closed.Before(end.Add(idleAfter)) {
		t.Errorf("closed at %v, the window ends at %v", closed, end)
	}
	b.awaitReady("cam1", false, time.Minute)
}
