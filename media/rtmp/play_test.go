package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// theatre is a server and what its Opener has seen.
type theatre struct {
	*Server
	stop context.CancelFunc
	done chan struct{} // closed when Run has returned

	mu      sync.Mutex // guards what follows
	streams map[string]*hub.Stream
	refuse  map[string]error
	asked   []hub.Request
	subs    []*hub.Subscription
	ends    []error
	kick    []context.CancelCauseFunc
}

// startServer serves streams until the test ends.
func startServer(t testing.TB, cfg Config, streams map[string]*hub.Stream) *theatre {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	x := &theatre{streams: streams, done: make(chan struct{}), refuse: make(map[string]error)}
	errorsOnly := &slog.HandlerOptions{Level: slog.LevelError}
	x.Server = New(cfg, x.opener, slog.New(slog.NewTextHandler(&failing{t: t}, errorsOnly)))
	if err := x.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.stop = cancel
	go func() {
		defer close(x.done)
		if err := x.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the server ended with %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-x.done })
	return x
}

// failing fails the test that logs an error.
type failing struct{ t testing.TB }

func (f *failing) Write(b []byte) (int, error) {
	f.t.Errorf("logged: %s", b)
	return len(b), nil
}

func (x *theatre) opener(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked = append(x.asked, req)
	if err := x.refuse[req.Path]; err != nil {
		return nil, fmt.Errorf("%w: secret reason", err)
	}
	s := x.streams[req.Path]
	if s == nil {
		return nil, hub.ErrNotFound
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	x.kick = append(x.kick, cancel)
	sub := &hub.Subscription{ID: "id", Stream: s, Context: ctx, Close: func(reason error) {
		cancel(reason)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ends = append(x.ends, reason)
	}}
	x.subs = append(x.subs, sub)
	return sub, nil
}

func (x *theatre) url(path string) string { return "rtmp://" + x.Addr().String() + "/" + path }

// ended waits until n sessions have ended and returns why the last did.
func (x *theatre) ended(t testing.TB, n int) error {
	t.Helper()
	var err error
	eventually(t, fmt.Sprintf("%d sessions have ended", n), func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.ends) < n {
			return false
		}
		err = x.ends[n-1]
		return true
	})
	return err
}

// output runs a program and returns what it wrote.
func output(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is needed: %v", name, err)
	}
	b, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return string(b), err
}

func TestFFmpegPlaysEveryFrame(t *testing.T) {
	for _, kind := range []mediatest.Kind{
		mediatest.H264AAC, mediatest.H264B, mediatest.H264BOnly, mediatest.H264Opus, mediatest.AAC,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			clip := mediatest.MakeClip(t, kind)
			x := startServer(t, Config{}, map[string]*hub.Stream{"gate": play(t, clip, true)})
			out := filepath.Join(t.TempDir(), "out.flv")
			if text, err := output(t, "ffmpeg", "-nostdin", "-v", "error", "-rw_timeout", "20000000", "-i", x.url("live/gate"),
				"-c", "copy", "-t", "3", "-f", "flv", out); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			frames := readFLV(t, out)
			if len(frames) < 60 {
				t.Fatalf("%d frames", len(frames))
			}
			checkRecording(t, clip, out, uint64(len(frames)))
			if err := x.ended(t, 1); !errors.Is(err, errLeft) && !errors.Is(err, errGone) {
				t.Errorf("ended with %v", err)
			}
			if n := x.subs[0].Sent.Load(); n < 10000 {
				t.Errorf("counted %d bytes", n)
			}
		})
	}
}

func TestHowPlayersNameStreams(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	s := play(t, clip, true)
	for name, tc := range map[string]struct {
		url  string
		want string // path, user, password, token, what is left of the query
	}{
		"below the application live": {"live/gate", "gate    "},
		"bare":                       {"gate", "gate    "},
		"with slashes":               {"live/site/gate", "site/gate    "},
		"with many slashes":          {"live/site/a/b/c", "site/a/b/c    "},
		"bare with slashes":          {"site/gate", "site/gate    "},
		"with a user":                {"live/gate?user=ann&pass=p%26q", "gate ann p&q  "},
		"with a password":            {"live/gate?user=ann&password=x&start=a", "gate ann x  start=a"},
		"with a token":               {"gate?token=abc", "gate   abc "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := startServer(t, Config{}, map[string]*hub.Stream{"gate": s, "site/gate": s, "site/a/b/c": s})
			p := mediatest.Probe(t, "-rw_timeout", "20000000", "-read_intervals", "%+#5", x.url(tc.url))
			if len(p.Streams) != 2 {
				t.Errorf("%d streams", len(p.Streams))
			}
			r := x.asked[0]
			if got := strings.Join([]string{r.Path, r.User, r.Password, r.Token, r.Query.Encode()}, " "); got != tc.want {
				t.Errorf("asked for %q, want %q", got, tc.want)
			}
			if _, err := netip.ParseAddrPort(r.Remote); err != nil || r.Protocol != "rtmp" || r.UserAgent == "" {
				t.Errorf("asked by %+v", r)
			}
		})
	}
}

// TestWhoIsNotServed runs FFmpeg against refusals: it must end by itself, with
// the reason.
func TestWhoIsNotServed(t *testing.T) {
	h264, h265 := mediatest.MakeClip(t, mediatest.H264), mediatest.MakeClip(t, mediatest.H265AAC)
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": play(t, h264, true), "hevc": play(t, h265, true)})
	x.mu.Lock()
	x.refuse["closed"], x.refuse["other"], x.refuse["dark"] = hub.ErrDenied, hub.ErrForbidden, hub.ErrUnavailable
	x.mu.Unlock()
	for path, want := range map[string]string{
		"live/nope":   "no such stream",
		"nope":        "no such stream",
		"live/closed": "authentication required",
		"live/other":  "not allowed",
		"live/dark":   "delivers no picture; try again later",
		"live/hevc":   "H265 needs Enhanced RTMP",
	} {
		t.Run(path, func(t *testing.T) {
			begin := time.Now()
			text, err := output(t, "ffprobe", "-v", "error", "-rw_timeout", "20000000", x.url(path))
			if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(text, want) {
				t.Errorf("%v: %s, want %q", err, text, want)
			}
			if strings.Contains(text, "secret") {
				t.Errorf("told %s", text)
			}
			t.Logf("ended after %v", time.Since(begin))
		})
	}
}

func TestPublishingIsRefused(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	x := startServer(t, Config{}, nil)
	text, err := output(t, "ffmpeg", "-nostdin", "-v", "error", "-i", clip.File,
		"-c", "copy", "-f", "flv", x.url("live/gate"))
	if err == nil || !strings.Contains(text, errPublishes.Error()) {
		t.Errorf("%v: %s", err, text)
	}
	r := push(t, Spec{URL: x.url("live/gate")}, play(t, clip, true))
	if err := r.ended(t); err == nil || !strings.Contains(err.Error(), errPublishes.Error()) {
		t.Errorf("our own push ended with %v", err)
	}
}

func TestGStreamerPlays(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264B)
	s := play(t, clip, true)
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": s, "site/gate": s})
	for name, source := range map[string][]string{
		"rtmp2src":              {"rtmp2src", "location=" + x.url("live/gate")},
		"rtmp2src with slashes": {"rtmp2src", "location=" + x.url("live/site/gate")},
		"rtmpsrc":               {"rtmpsrc", "location=" + x.url("live/gate") + " live=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.flv")
			args := append([]string{"-q"}, source...)
			args = append(args, "num-buffers=150", "!", "filesink", "location="+out)
			if text, err := output(t, "gst-launch-1.0", args...); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			b, err := os.ReadFile(out)
			if err != nil || !bytes.HasPrefix(b, []byte("FLV")) {
				t.Fatalf("wrote %d bytes, %v", len(b), err)
			}
			whole(t, out)
			frames := readFLV(t, out)
			if len(frames) < 50 {
				t.Fatalf("%d frames", len(frames))
			}
			checkRecording(t, clip, out, uint64(len(frames)))
		})
	}
}

// whole cuts off what a recorder that was stopped has begun to write.
func whole(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := 13
	for end+11 <= len(b) && end+15+uint24(b[end+1:]) <= len(b) {
		end += 15 + uint24(b[end+1:])
	}
	if err := os.Truncate(path, int64(end)); err != nil {
		t.Fatal(err)
	}
}

const nginxPullConf = `load_module %[1]s/ngx_rtmp_module.so;
daemon off; master_process off; user root; worker_processes 1; pid %[2]s/nginx.pid;
events { worker_connections 64; }
rtmp { access_log off; server { listen %[3]s;
  application relay { live on; record all; record_path %[2]s; pull %[4]s name=gate static; } } }
`

func TestNginxPulls(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264B)
	x := startServer(t, Config{}, map[string]*hub.Stream{"gate": play(t, clip, true)})
	n := startNginxOf(t, func(modules, dir, address string) string {
		return fmt.Sprintf(nginxPullConf, modules, dir, address, x.url("live/gate"))
	})
	file := filepath.Join(n.dir, "gate.flv")
	eventually(t, "nginx has recorded", func() bool {
		st, err := os.Stat(file)
		return err == nil && st.Size() > 200_000
	})
	x.stop()
	<-x.done
	if err := x.ended(t, 1); !errors.Is(err, errShutdown) {
		t.Errorf("ended with %v", err)
	}
	_ = n.cmd.Process.Signal(os.Interrupt)
	_ = n.cmd.Wait()
	frames := readFLV(t, file)
	checkRecording(t, clip, file, uint64(len(frames)))
}
