package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/testcam"
)

// The rig of the tests that are named by rows of the reference: a camera that
// can be switched off, frozen and on again and that counts, an API client, and
// a hook server.

// fakeCam is a host with cameras cam1 to cam4, in the process of the test.
type fakeCam struct {
	t      testing.TB
	addr   string
	height int // of the pictures

	srv    *testcam.Server // nil while switched off
	stop   func()
	before map[string]int // requests of the times before
}

// startFakeCam switches the cameras on. Their picture is small.
func startFakeCam(t testing.TB) *fakeCam {
	t.Helper()
	c := &fakeCam{t: t, addr: "127.0.0.1:0", height: 180, before: make(map[string]int)}
	c.on()
	t.Cleanup(c.off)
	return c
}

func (c *fakeCam) url(name string) string { return "rtsp://" + c.addr + "/" + name }

// on switches the cameras on, at the address they had.
func (c *fakeCam) on() {
	c.t.Helper()
	cfg := testcam.Config{Listen: c.addr}
	for i := range 4 {
		cfg.Cameras = append(cfg.Cameras, testcam.Camera{Path: fmt.Sprintf("cam%d", i+1), Height: c.height, GOP: 25})
	}
	srv := testcam.New(cfg, slog.New(slog.DiscardHandler))
	eventually(c.t, 10*time.Second, "the camera has its port", srv.Listen)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	c.srv, c.addr = srv, srv.Addr()
	c.stop = func() {
		cancel()
		<-ended
	}
}

// off is a power cut.
func (c *fakeCam) off() {
	if c.srv == nil {
		return
	}
	c.stop()
	for method, n := range c.srv.Stats().Requests {
		c.before[method] += n
	}
	c.srv = nil
}

// requests returns how often PLAY, TEARDOWN and so on have been asked, ever.
func (c *fakeCam) requests(method string) int {
	n := c.before[method]
	if c.srv != nil {
		n += c.srv.Stats().Requests[method]
	}
	return n
}

// playing returns how many sessions play now.
func (c *fakeCam) playing() (n int) {
	if c.srv == nil {
		return 0
	}
	for _, s := range c.srv.Stats().Sessions {
		if s.Playing {
			n++
		}
	}
	return n
}

// reply is an answer of the API.
type reply struct {
	t    testing.TB
	code int
	text string
}

// call asks the API over its socket, with the token of the tests unless
// change gives other credentials.
func (b *box) call(method, path, body string, change ...func(*http.Request)) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "http://box"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := b.client
	for _, f := range change {
		f(req)
		client = b.anonymous()
		if req.Header.Get("Authorization") == "" { // at the socket root needs none
			client, req.URL.Host = http.DefaultClient, b.addr("api")
		}
	}
	res, err := client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{b.t, res.StatusCode, string(text)}
}

// anonymous is the client without the token of the tests.
func (b *box) anonymous() *http.Client {
	return &http.Client{Transport: b.client.Transport.(asAdmin).RoundTripper}
}

func nobody(*http.Request) {}

// want fails the test unless the answer has the status code.
func (r reply) want(code int) reply {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("status %d, want %d: %s", r.code, code, r.text)
	}
	return r
}

// at returns what lies below the keys and indexes, nil if there is nothing.
func (r reply) at(keys ...any) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		r.t.Fatalf("%v in %q", err, r.text)
	}
	for _, key := range keys {
		switch k := key.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[k]
		case int:
			list, _ := v.([]any)
			if k >= len(list) {
				return nil
			}
			v = list[k]
		}
	}
	return v
}

// str is at for text.
func (r reply) str(keys ...any) string {
	r.t.Helper()
	s, _ := r.at(keys...).(string)
	return s
}

// ready returns whether MediaMTX's API calls the path ready, and its bytes.
func (b *box) ready(path string) (ready bool, bytes float64) {
	b.t.Helper()
	r := b.call("GET", "/v3/paths/get/"+path, "")
	if r.code != http.StatusOK {
		return false, 0
	}
	ready, _ = r.at("ready").(bool)
	bytes, _ = r.at("bytesReceived").(float64)
	return ready, bytes
}

// awaitReady waits until the path is ready, or not.
func (b *box) awaitReady(path string, want bool, limit time.Duration) {
	b.t.Helper()
	eventually(b.t, limit, fmt.Sprintf("%s ready: %v", path, want), func() error {
		if got, _ := b.ready(path); got != want {
			return fmt.Errorf("ready: %v", got)
		}
		return nil
	})
}

// restart ends the daemon by end and starts it again with the same files.
func (b *box) restart(end func()) {
	b.t.Helper()
	end()
	<-b.ended
	b.launch()
}

// kill9 ends the daemon like a crash.
func (b *box) kill9() {
	if err := b.cmd.Process.Kill(); err != nil {
		b.t.Fatal(err)
	}
	<-b.ended // its ports are free
}

// files returns how many files the daemon has open.
func (b *box) files() int {
	b.t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(all)
}

// startFFmpeg reads the URL for as long as the test lasts, and returns the
// process and a channel that is closed when it ends.
func startFFmpeg(t testing.TB, input ...string) (*exec.Cmd, <-chan struct{}) {
	t.Helper()
	args := append([]string{"-nostdin", "-v", "error"}, input...)
	cmd := exec.Command("ffmpeg", append(args, "-c", "copy", "-f", "null", "-")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return cmd, ended
}

// hookCall is one request that a hook server got.
type hookCall struct {
	at     time.Time
	path   string
	header http.Header
	body   map[string]any // nil if it was no JSON object
	raw    []byte
}

// hookServer notes what it is asked.
type hookServer struct {
	*httptest.Server

	mu  sync.Mutex // guards got
	got []hookCall
}

// startHook runs a hook server that answers as it is told.
func startHook(t testing.TB, answer func(hookCall) (code int, body string)) *hookServer {
	t.Helper()
	h := &hookServer{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		call := hookCall{at: time.Now(), path: r.URL.Path, header: r.Header, raw: raw}
		if json.Unmarshal(raw, &call.body) != nil {
			call.body = nil
		}
		h.mu.Lock()
		h.got = append(h.got, call)
		h.mu.Unlock()
		code, body := answer(call)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body) // the client may be gone
	}))
	t.Cleanup(h.Close)
	return h
}

// calls returns the requests so far for which want is true.
func (h *hookServer) calls(want func(hookCall) bool) (all []hookCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.got {
		if want(c) {
			all = append(all, c)
		}
	}
	return all
}
