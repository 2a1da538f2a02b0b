//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// site is a server with streams, and what became of its subscriptions.
type site struct {
	t      testing.TB
	server *Server
	url    string // srt://address
	open   atomic.Pointer[hub.Opener]
	usual  hub.Opener
	kick   context.CancelCauseFunc // ends all subscriptions
	subs   chan *hub.Subscription
	ended  chan error   // reasons of Subscription.Close
	stop   func() error // ends the server
}

const giveUp = time.Minute

// serve runs a server with one stream for the length of the test.
func serve(t testing.TB, cfg Config, stream *hub.Stream) *site {
	t.Helper()
	s := &site{t: t, subs: make(chan *hub.Subscription, 256), ended: make(chan error, 256)}
	subs, kick := context.WithCancelCause(context.Background())
	s.kick = kick
	s.usual = func(_ context.Context, req hub.Request) (*hub.Subscription, error) {
		if req.Protocol != "srt" || req.Remote == "" {
			t.Errorf("asked with %+v", req)
		}
		if req.Path != stream.Name() {
			return nil, hub.ErrNotFound
		}
		sub := &hub.Subscription{Stream: stream, Context: subs, Close: func(err error) { s.ended <- err }}
		s.subs <- sub
		return sub, nil
	}
	s.answer(s.usual)
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s.server = New(cfg, func(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
		return (*s.open.Load())(ctx, req)
	}, slog.New(slog.DiscardHandler))
	if err := s.server.Listen(); err != nil {
		t.Fatal(err)
	}
	s.url = "srt://" + s.server.Addr().String()
	s.stop = mediatest.Serve(t, s.server.Run)
	return s
}

func (s *site) answer(open hub.Opener) { s.open.Store(&open) }

// reason returns why the next subscription ended.
func (s *site) reason() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(giveUp):
		s.t.Fatal("the subscription was not given back")
		return nil
	}
}

// record lets srt-live-transmit read into a file until it has bytes in it.
func (s *site) record(query string, bytes int64) (file string, cmd *exec.Cmd) {
	s.t.Helper()
	file = filepath.Join(s.t.TempDir(), "viewer.ts")
	f, err := os.Create(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	cmd = exec.Command("srt-live-transmit", "-q", "-a:no", s.url+"?"+query, "file://con")
	cmd.Stdout = f
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("srt-live-transmit is missing: %v", err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(s.t, "the viewer has got its bytes", func() bool {
		st, err := os.Stat(file)
		return err == nil && st.Size() >= bytes
	})
	return file, cmd
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(giveUp); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// TestViewersOfEveryKind reads with software of others.
func TestViewersOfEveryKind(t *testing.T) {
	for _, tc := range []struct {
		kind  mediatest.Kind
		id    string
		cfg   Config
		query string
	}{
		{mediatest.H264AAC, "cam", Config{}, ""},
		{mediatest.H264B, "live/cam", Config{Latency: 3 * time.Second}, ""},
		{mediatest.H265B, "read:cam", Config{}, "&latency=4000000"},
		{mediatest.H264Opus, "cam?token=x", Config{}, ""},
		{mediatest.AAC, "read:cam:user:password", Config{}, ""},
		{mediatest.H264, "cam", Config{Passphrase: "a-long-secret"}, "&passphrase=a-long-secret"},
		{
			mediatest.H265AAC, "#!::r=live/cam,m=request,u=me",
			Config{Passphrase: "a-long-secret", PBKeyLen: 32},
			"&passphrase=a-long-secret&pbkeylen=32",
		},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			t.Parallel()
			cam := play(t, tc.kind)
			tc.cfg.Latency = max(tc.cfg.Latency, 2*time.Second) // however busy the machine is
			s := serve(t, tc.cfg, cam.stream)
			input := []string{"-analyzeduration", "1000000", "-srt_streamid", tc.id, s.url + "?mode=caller" + tc.query}
			p := mediatest.Probe(t, append([]string{"-read_intervals", "%+3"}, input...)...)
			for _, track := range cam.clip.Tracks {
				if got := p.Of(track.Kind.String()); len(got) < 10 {
					t.Errorf("%d frames of %s", len(got), track.Kind)
				} else if track.Kind == media.KindVideo && !got[0].Key() {
					t.Error("the first picture is not a key frame")
				}
			}
			if err := s.reason(); !errors.Is(err, media.ErrPeerClosed) || !strings.Contains(err.Error(), "the viewer closed") {
				t.Errorf("ended with %v", err)
			}
			if sub := <-s.subs; sub.Sent.Load() < 10_000 {
				t.Errorf("%d bytes counted", sub.Sent.Load())
			}
			mediatest.Decodes(t, append([]string{"-t", "2"}, input...)...)
		})
	}
}

func TestGStreamerViews(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264AAC)
	s := serve(t, Config{}, cam.stream)
	cmd := exec.CommandContext(t.Context(), "gst-launch-1.0", "-q", "srtsrc", "uri="+s.url+"?streamid=cam", "!", "tsdemux",
		"!", "h264parse", "!", "avdec_h264", "!", "fakesink", "num-buffers=50")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := s.reason(); !errors.Is(err, media.ErrPeerClosed) {
		t.Errorf("ended with %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	kicked := errors.New("sent away")
	for _, tc := range []struct {
		name string
		do   func(*site, *camera, *exec.Cmd)
		want string
	}{
		{
			"the viewer leaves", func(_ *site, _ *camera, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGTERM) },
			"the viewer closed the connection",
		},
		{
			"the viewer vanishes", func(_ *site, _ *camera, c *exec.Cmd) { _ = c.Process.Kill() },
			"the viewer stopped answering",
		},
		{"the viewer is sent away", func(s *site, _ *camera, _ *exec.Cmd) { s.kick(kicked) }, "sent away"},
		{"the server stops", func(s *site, _ *camera, _ *exec.Cmd) { _ = s.stop() }, "the server stops"},
		{"the stream ends", func(_ *site, c *camera, _ *exec.Cmd) { c.stop(); c.stream.Close() }, "the stream has ended"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cam := play(t, mediatest.H264AAC)
			s := serve(t, Config{}, cam.stream)
			_, viewer := s.record("streamid=cam", 50_000)
			tc.do(s, cam, viewer)
			if err := s.reason(); err == nil || err.Error() != tc.want {
				t.Errorf("ended with %v", err)
			}
			eventually(t, "nobody is counted", func() bool { return s.server.Stats().Readers == 0 })
		})
	}
}

// TestWhyAViewerIsGone: while one is silent libsrt drops what is too old, and a new
// group of pictures is begun.
func TestWhyAViewerIsGone(t *testing.T) {
	t.Parallel()
	end := time.Now()
	for _, tc := range []struct {
		name                  string
		checked, moved, wrote time.Duration // before the end
		err                   error
		want                  string
	}{
		{"it leaves", time.Second, time.Second, 40 * time.Millisecond, errLost, "viewer closed the connection"},
		{"it leaves while we are held up", 6 * time.Second, 7 * time.Second, 0, errLost, "viewer closed the connection"},
		{"it is silent", time.Second, 5 * time.Second, 4 * time.Second, errLost, "viewer stopped answering"},
		{"a new group is begun", time.Second, 5 * time.Second, time.Second, errLost, "viewer stopped answering"},
		{
			"the camera is silent", time.Second, time.Second, 5 * time.Second, errLost,
			"viewer closed the connection or stopped answering",
		},
		{"it is stalled", time.Second, 9 * time.Second, 0, errStalled, "viewer takes no data"},
		{"it is something else", time.Second, time.Second, 0, errShutdown, errShutdown.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := sender{peer: "viewer", checked: end.Add(-tc.checked), moved: end.Add(-tc.moved), wrote: end.Add(-tc.wrote)}
			if err := w.why(tc.err, end); err.Error() != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestMessagesDropped: as libsrt 1.5.1 counts them, and as later ones do.
func TestMessagesDropped(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ bytes, counted, want int }{
		{0, 0, 0},
		{1360, 1, 1},
		{50*1316 + 44, 1, 50},
		{57*1316 + 2*44, 2, 57},
		{57 * 1360, 57, 57},
	} {
		if n := dropped(tc.bytes, tc.counted); n != tc.want {
			t.Errorf("%d bytes in %d: %d messages, want %d", tc.bytes, tc.counted, n, tc.want)
		}
	}
}

// TestAServerTakesOver from one with other settings at the same port.
func TestAServerTakesOver(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	first := serve(t, Config{}, cam.stream)
	first.record("streamid=cam", 20_000)
	address := first.server.Addr().String()
	second := New(Config{Listen: address, Passphrase: "a-long-secret"}, first.usual, slog.New(slog.DiscardHandler))
	if err := second.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("the first ended with %v", err)
	}
	if err := first.reason(); !errors.Is(err, errShutdown) {
		t.Errorf("its viewer left because %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- second.Run(ctx) }()
	first.record("streamid=cam&passphrase=a-long-secret", 20_000)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the second ended with %v", err)
	}
}

// TestNobodyThereCostsNothing: libsrt's thread rests but while there are viewers.
func TestNobodyThereCostsNothing(t *testing.T) {
	t.Parallel()
	cam := play(t, mediatest.H264)
	for _, address := range []string{"127.0.0.1:0", ":0"} {
		s := serve(t, Config{Listen: address}, cam.stream)
		rests := func() bool {
			at, err := unix.GetsockoptTimeval(s.server.listener.rest.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
			return err == nil && at.Sec == 1
		}
		eventually(t, "it rests before the first", rests)
		s.url = fmt.Sprintf("srt://127.0.0.1:%d", s.server.Addr().(*net.UDPAddr).Port)
		_, viewer := s.record("streamid=cam", 20_000)
		if rests() {
			t.Error("it rests with a viewer")
		}
		_ = viewer.Process.Signal(syscall.SIGTERM)
		eventually(t, "it rests after the last", rests)
		_ = s.told("nobody", "")
		eventually(t, "it rests after a refusal", rests)
	}
}
