//go:build cgo

package srt

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// freePort returns a UDP port that nobody listens at.
func freePort(t testing.TB) uint16 {
	t.Helper()
	return uint16(mediatest.FreePort(t, "udp")) // it is one
}

// sink is srt-live-transmit as a listener for one connection.
type sink struct {
	t    testing.TB
	port uint16
	file string // where it stores what arrives
	cmd  *exec.Cmd
}

// listen starts a sink. query is that of its URL, &key=value….
func listen(t testing.TB, query string) *sink {
	t.Helper()
	s := &sink{t: t, port: freePort(t), file: filepath.Join(t.TempDir(), "sink.ts")}
	f, err := os.Create(s.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.start(query, f)
	return s
}

func (s *sink) start(query string, out *os.File) {
	s.t.Helper()
	address := "srt://127.0.0.1:" + strconv.Itoa(int(s.port)) + "?mode=listener" + query
	s.cmd = exec.Command("srt-live-transmit", "-q", "-a:no", address, "file://con")
	s.cmd.Stdout = out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("srt-live-transmit is missing: %v", err)
	}
	s.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
}

func (s *sink) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sink) spec() Spec { return Spec{Host: "127.0.0.1", Port: s.port, Timeout: 4 * time.Second} }

// ended waits until the sink, whose caller has gone, has written out everything.
func (s *sink) ended() {
	s.t.Helper()
	timer := time.AfterFunc(giveUp, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	_ = s.cmd.Wait() // it complains about the end of the connection
	if s.cmd.ProcessState.ExitCode() < 0 {
		s.t.Error("the sink does not end with its connection")
	}
}

// camera plays a clip into a stream.
type camera struct {
	t      testing.TB
	stream *hub.Stream
	clip   *mediatest.Clip
	stop   func() // and waits
}

func play(t testing.TB, kind mediatest.Kind) *camera {
	t.Helper()
	c := &camera{t: t, stream: hub.NewStream("cam"), clip: mediatest.MakeClip(t, kind)}
	pack := mediatest.NewPacketizer(t, c.clip.Tracks)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if c.clip.Video() == nil {
			c.audio(ctx)
		} else if err := mediatest.Feed(ctx, c.stream, c.clip, pack, true); err != nil {
			t.Error(err)
		}
	})
	c.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(func() { c.stop(); c.stream.Close() })
	return c
}

// audio plays a clip without video: a receiver may start at any frame.
func (c *camera) audio(ctx context.Context) {
	c.stream.SetTracks(c.clip.Tracks)
	tick := time.NewTicker(c.clip.Unit(1).DTS - c.clip.Unit(0).DTS)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		u := c.clip.Unit(i)
		u.Key, u.Wall = true, time.Now()
		c.stream.Units.Append(u)
		<-tick.C
	}
}

// push is a push under way.
type push struct {
	t        testing.TB
	progress *media.Progress
	active   chan struct{} // has an entry once media was acknowledged
	stop     context.CancelCauseFunc
	done     chan struct{}
	err      error // valid once done is closed
}

func start(t testing.TB, run runFunc, spec Spec, s *hub.Stream) *push {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &push{t: t, active: make(chan struct{}, 1), stop: cancel, done: make(chan struct{})}
	p.progress = media.NewProgress(func() {
		select {
		case p.active <- struct{}{}:
		default:
		}
	})
	go func() {
		defer close(p.done)
		p.err = run(ctx, spec, s, p.progress, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(nil); <-p.done })
	return p
}

type runFunc func(context.Context, Spec, *hub.Stream, *media.Progress, *slog.Logger) error

// await waits until the push is active.
func (p *push) await() {
	p.t.Helper()
	select {
	case <-p.active:
	case <-p.done:
		p.t.Fatalf("ended: %v", p.err)
	case <-time.After(giveUp):
		p.t.Fatal("not active")
	}
}

// ends waits for the end of the push and returns why it ended.
func (p *push) ends(within time.Duration) error {
	p.t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-time.After(within):
		p.t.Fatalf("still running after %v", within)
		return nil
	}
}

var errStop = errors.New("stopped by the test")

func TestCheckLibrary(t *testing.T) {
	if err := CheckLibrary(); err != nil {
		t.Error(err)
	}
}
