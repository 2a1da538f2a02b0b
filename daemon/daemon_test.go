package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/testcam"
)

// site is a daemon in this process with one synthetic camera.
type site struct {
	opts   Options
	client *http.Client
}

func newSite(t *testing.T, camera string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{opts: Options{
		ConfigFile: filepath.Join(dir, "camrelay.yaml"), StateDir: filepath.Join(dir, "state"),
		RuntimeDir: filepath.Join(dir, "run"), Version: "test",
	}}
	s.client = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(s.opts.RuntimeDir, "api.sock"))
		},
	}}
	text := fmt.Sprintf("version: 1\naccess: {view: open}\nrtsp: {listen: \"127.0.0.1:0\"}\n"+
		"http: {listen: \"127.0.0.1:0\"}\napi: {listen: \"\"}\n"+
		"rtmp: {listen: \"\"}\nsrt: {listen: \"\"}\nmetrics: {listen: \"127.0.0.1:0\"}\ncameras:\n  gate: {url: %q}\n"+
		"pushes:\n  dead: {camera: gate, url: \"srt://127.0.0.1:1?streamid=x\"}\n", camera)
	if err := os.WriteFile(s.opts.ConfigFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the daemon; stop, which may be called twice, ends it.
func (s *site) start(t *testing.T) (stop func()) {
	t.Helper()
	return s.startLogged(t, io.Discard)
}

// startLogged is start with a log.
func (s *site) startLogged(t *testing.T, log io.Writer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, s.opts, slog.New(slog.NewTextHandler(log, nil))) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// get asks the API and returns the body, empty if it does not answer.
func (s *site) get(path string) string {
	resp, err := s.client.Get("http://camrelay" + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// await polls until the condition holds; it fails the test after a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Fatalf("waited in vain: %s\n%s", what, stacks.String())
		}
	}
}

// fds returns how many files this process has open.
func fds(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// demoCamera serves the camera "gate" until stop is called, which waits.
func demoCamera(t *testing.T) (cam *testcam.Server, stop func()) {
	t.Helper()
	cam = testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: testcam.DemoCameras("gate")},
		slog.New(slog.DiscardHandler))
	if err := cam.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = cam.Run(ctx) }) // its error is that of ctx
	return cam, func() { cancel(); wg.Wait() }
}

// TestRunLeavesNothing starts and ends the whole daemon: no goroutine and no
// open file remains.
func TestRunLeavesNothing(t *testing.T) {
	cam, camStop := demoCamera(t)
	defer camStop()
	goroutines, files := 0, 0
	for round := range 3 {
		s := newSite(t, cam.URL("gate"))
		stop := s.start(t)
		await(t, "the camera is active", func() bool {
			return strings.Contains(s.get("/v3/paths/get/gate"), `"ready":true`)
		})
		stop()
		if round == 0 { // libsrt and the resolver keep a few things for ever
			runtime.GC()
			await(t, "the camera sees the goodbye", func() bool {
				st := cam.Stats()
				return st.Requests["TEARDOWN"] == 1 && st.Open == 0
			})
			goroutines, files = runtime.NumGoroutine(), fds(t)
			continue
		}
		await(t, fmt.Sprintf("round %d: at most %d goroutines and %d files", round, goroutines, files),
			func() bool { return runtime.NumGoroutine() <= goroutines && fds(t) <= files })
	}
}

// post sends JSON to the API and returns the answer's body, empty if there is none.
func (s *site) post(path, body string) string {
	resp, err := s.client.Post("http://camrelay"+path, "application/json", strings.NewReader(body))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	return string(text)
}
