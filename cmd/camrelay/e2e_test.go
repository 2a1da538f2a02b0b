package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"camrelay/daemon/api"
	"camrelay/media/mediatest"
)

// The end-to-end tests run the binary itself, built with the race detector,
// between cameras and sinks that are not ours.

// binEnv names the environment variable by which TestMain hands over the path
// of the binary under test.
const binEnv = "CAMRELAY_TEST_BIN"

// plainEnv asks for a binary without the race detector, whose memory grows
// with use.
const plainEnv = "CAMRELAY_TEST_PLAIN"

func raced() bool { return os.Getenv(plainEnv) == "" }

// punctual fails the test if something took longer than the reference says. Only
// a binary without the race detector is held to that, on a machine that does
// nothing else: all others are held to what happens, in which order.
func punctual(t testing.TB, what string, took, limit time.Duration) {
	t.Helper()
	t.Logf("%s: %v, at most %v", what, took.Round(time.Millisecond), limit)
	if !raced() && took > limit {
		t.Errorf("%s: %v, want at most %v", what, took.Round(time.Millisecond), limit)
	}
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if os.Getenv(binEnv) != "" {
		return m.Run() // a test runs itself again
	}
	dir, err := os.MkdirTemp("", "camrelay-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "camrelay")
	args := []string{"build", "-o", bin, "."}
	if raced() {
		args = slices.Insert(args, 1, "-race")
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the binary under test: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(binEnv, bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// box is a running daemon.
type box struct {
	t       testing.TB
	dir     string   // config.yaml and state directory
	runtime string   // runtime directory, on tmpfs
	flags   []string // more for the command line
	cmd     *exec.Cmd
	client  *http.Client // speaks to the API's socket
	env     []string     // and for the environment
	ended   chan struct{}
	log     *mediatest.Log
}

// startBox runs the daemon on the configuration, with more flags; listeners that
// it does not name are put on free loopback ports.
func startBox(t testing.TB, config string, flags ...string) *box {
	t.Helper()
	runtime, err := os.MkdirTemp("/dev/shm", "camrelay-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	return startBoxIn(t, runtime, config, flags...)
}

// startBoxIn is startBox with a runtime directory of the caller's.
func startBoxIn(t testing.TB, runtime, config string, flags ...string) *box {
	t.Helper()
	b := &box{t: t, dir: t.TempDir(), runtime: runtime, flags: flags, log: &mediatest.Log{}}
	b.start(config)
	return b
}

// start runs a box that is made for the first time.
func (b *box) start(config string) {
	t, runtime := b.t, b.runtime
	t.Helper()
	socket := filepath.Join(runtime, "api.sock")
	b.client = &http.Client{Transport: asAdmin{&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}}
	b.write(config)
	t.Cleanup(func() {
		b.stop()
		b.checkRaces()
		if t.Failed() {
			t.Logf("daemon's log:\n%s", b.log.Tail(8000))
		}
	})
	b.launch()
}

// launch starts the process and waits until it answers.
func (b *box) launch() {
	b.t.Helper()
	args := []string{"run", "-c", b.config(), "--runtime-dir", b.runtime, "--state-dir", filepath.Join(b.dir, "state")}
	cmd := exec.Command(os.Getenv(binEnv), append(args, b.flags...)...)
	cmd.Stderr, cmd.Stdout = b.log, b.log
	cmd.Env = append(append(os.Environ(), "GORACE=exitcode=0"), b.env...)
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	b.cmd, b.ended = cmd, ended
	eventually(b.t, 20*time.Second, "the API answers", func() error { _, err := b.status(); return err })
}

// checkRaces fails on every race that the detector has reported.
func (b *box) checkRaces() {
	for _, report := range strings.Split(b.log.String(), "WARNING: DATA RACE")[1:] {
		report, _, _ = strings.Cut(report, "==================")
		b.t.Errorf("data race:%s", report)
	}
}

func (b *box) config() string { return filepath.Join(b.dir, "config.yaml") }

// write replaces the configuration the way editors and fleet tools do: a new
// file renamed over the old one.
func (b *box) write(config string) {
	b.t.Helper()
	for _, section := range []string{"rtsp", "http", "api", "rtmp", "srt", "metrics"} {
		if !strings.Contains(config, "\n"+section+":") {
			config += fmt.Sprintf("%s: {listen: \"127.0.0.1:0\"}\n", section)
		}
	}
	next := b.config() + ".new"
	if err := os.WriteFile(next, []byte(config), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(next, b.config()); err != nil {
		b.t.Fatal(err)
	}
}

// stop sends SIGTERM and waits; it may be called more than once.
func (b *box) stop() {
	select {
	case <-b.ended:
		return
	default:
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		b.t.Error(err)
	}
	select {
	case <-b.ended:
	case <-time.After(15 * time.Second):
		b.t.Error("the daemon is still there 15 s after SIGTERM")
		b.cmd.Process.Signal(syscall.SIGQUIT)
		<-b.ended
	}
}

func (b *box) status() (st api.Status, err error) {
	err = b.get("/v1/status", &st)
	return st, err
}

// get decodes the API's answer to a GET of path.
func (b *box) get(path string, v any) error {
	res, err := b.client.Get("http://box" + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(v)
}

// addr returns the address on which a server listens: rtsp, http or api.
func (b *box) addr(server string) string {
	b.t.Helper()
	st, err := b.status()
	if err != nil {
		b.t.Fatal(err)
	}
	if st.Listeners[server] == "" {
		b.t.Fatalf("no listener %q in %v", server, st.Listeners)
	}
	return st.Listeners[server]
}

func (b *box) rtsp(path string) string { return "rtsp://" + b.addr("rtsp") + "/" + path }

func (b *box) http(path string) string { return "http://" + b.addr("http") + "/" + path }

// camera returns the status of one camera.
func (b *box) camera(name string) (api.CameraStatus, error) {
	st, err := b.status()
	if err != nil {
		return api.CameraStatus{}, err
	}
	for _, c := range st.Cameras {
		if c.Name == name {
			return c, nil
		}
	}
	return api.CameraStatus{}, fmt.Errorf("no camera %s", name)
}

// awaitActive waits until the cameras deliver key frames.
func (b *box) awaitActive(names ...string) {
	b.t.Helper()
	for _, name := range names {
		eventually(b.t, 30*time.Second, name+" is active", func() error {
			c, err := b.camera(name)
			if err == nil && (c.State != "active" || c.LastKeyAge == nil) {
				err = fmt.Errorf("state %s: %s", c.State, c.Reason)
			}
			return err
		})
	}
}

// push returns the status of one push.
func (b *box) push(name string) (api.PushStatus, error) {
	st, err := b.status()
	if err != nil {
		return api.PushStatus{}, err
	}
	for _, p := range st.Pushes {
		if p.Name == name {
			return p, nil
		}
	}
	return api.PushStatus{}, fmt.Errorf("no push %s", name)
}

// awaitPush waits until the push is in the state.
func (b *box) awaitPush(name, state string) api.PushStatus {
	b.t.Helper()
	var last api.PushStatus
	eventually(b.t, 60*time.Second, name+" is "+state, func() error {
		p, err := b.push(name)
		last = p
		if err == nil && p.State != state {
			err = fmt.Errorf("state %s: %s", p.State, p.Reason)
		}
		return err
	})
	return last
}

// eventually asks for a condition until it holds.
func eventually(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", limit, what, err)
		}
	}
}

// gstCams are the cameras of testdata/gstcams.py.
type gstCams struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	port string
}

// startGstCams starts the cameras on the port, "0" for any, and with pictures of
// the size that may follow.
func startGstCams(t testing.TB, port string, size ...string) *gstCams {
	t.Helper()
	g := &gstCams{t: t, cmd: exec.Command("/usr/bin/python3", append([]string{"testdata/gstcams.py", port}, size...)...)}
	in, err := g.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.cmd.Stderr = os.Stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatalf("cannot start GStreamer's cameras: %v", err)
	}
	t.Cleanup(g.kill)
	g.in, g.out = in, bufio.NewScanner(out)
	g.port = strings.TrimPrefix(g.line(), "ready ")
	return g
}

func (g *gstCams) line() string {
	g.t.Helper()
	if !g.out.Scan() {
		g.t.Fatal("GStreamer's cameras have ended")
	}
	return g.out.Text()
}

func (g *gstCams) command(c string) string {
	g.t.Helper()
	if _, err := io.WriteString(g.in, c+"\n"); err != nil {
		g.t.Fatal(err)
	}
	return g.line()
}

// counts returns the video and audio frames that each mount has sent.
func (g *gstCams) counts() map[string][2]int {
	g.t.Helper()
	var c map[string][2]int
	if err := json.Unmarshal([]byte(g.command("count")), &c); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// requests returns how often clients have asked a method of a mount: DESCRIBE, PLAY or TEARDOWN.
func (g *gstCams) requests(mount, method string) int {
	g.t.Helper()
	var c map[string]map[string]int
	if err := json.Unmarshal([]byte(g.command("requests")), &c); err != nil {
		g.t.Fatal(err)
	}
	return c[mount][method]
}

func (g *gstCams) url(mount string) string { return "rtsp://127.0.0.1:" + g.port + mount }

// kill ends the cameras like a power cut.
func (g *gstCams) kill() {
	g.cmd.Process.Kill()
	g.cmd.Wait()
}
