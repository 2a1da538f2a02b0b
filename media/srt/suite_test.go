//go:build cgo

package srt

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestPushes: what arrives is read from the sink's output while it runs.
func TestPushes(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264B, mediatest.H265AAC} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			mediatest.Suite{
				Kind: kind,
				Start: func(ctx context.Context, s *hub.Stream, got func(mediatest.Received)) error {
					return withSink(ctx, t, s, func(*sink) {}, got)
				},
				Stall: func(ctx context.Context, s *hub.Stream) error {
					return withSink(ctx, t, s, func(s *sink) { s.signal(syscall.SIGSTOP) }, func(mediatest.Received) {})
				},
			}.Run(t)
		})
	}
}

// withSink runs a push to a sink whose output is read, and returns when both
// have ended. first is called at the first frame.
func withSink(ctx context.Context, t *testing.T, s *hub.Stream, first func(*sink), got func(mediatest.Received)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	sink := &sink{t: t, port: freePort(t)}
	sink.start("", w)
	_ = w.Close()
	done := make(chan struct{})
	frames := 0
	go func() {
		defer close(done)
		err := mediatest.ReadTS(r, func(f mediatest.Received) {
			if frames++; frames == 1 {
				first(sink)
			}
			got(f)
		})
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the sink wrote what is no transport stream: %v", err)
		}
	}()
	err = new(Caller).Run(ctx, sink.spec(), s, media.NewProgress(func() {}), slog.New(slog.DiscardHandler))
	timer := time.AfterFunc(500*time.Millisecond, func() { _ = sink.cmd.Process.Kill() })
	<-done
	timer.Stop()
	return err
}

// TestViewers: what a viewer gets is read from its output while it runs.
func TestViewers(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264B, mediatest.H265AAC} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			nothing := func(mediatest.Received) {}
			mediatest.Suite{
				Kind: kind,
				Start: func(ctx context.Context, s *hub.Stream, got func(mediatest.Received)) error {
					return withViewer(ctx, t, s, func(*exec.Cmd) {}, got)
				},
				Stall: func(ctx context.Context, s *hub.Stream) error {
					return withViewer(ctx, t, s, func(c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGSTOP) }, nothing)
				},
			}.Run(t)
		})
	}
}

// withViewer runs a server for one viewer whose output is read, and returns when
// both have ended. first is called at the first frame.
func withViewer(
	ctx context.Context, t *testing.T, s *hub.Stream, first func(*exec.Cmd), got func(mediatest.Received),
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := New(Config{Listen: "127.0.0.1:0"}, func(context.Context, hub.Request) (*hub.Subscription, error) {
		return &hub.Subscription{Stream: s, Context: ctx, Close: func(err error) { cancel(err) }}, nil
	}, slog.New(slog.DiscardHandler))
	if err := server.Listen(); err != nil {
		return err
	}
	address := "srt://" + server.Addr().String() + "?streamid=cam"
	viewer := exec.Command("srt-live-transmit", "-q", "-a:no", address, "file://con")
	out, err := viewer.StdoutPipe()
	if err != nil {
		return err
	}
	if err := viewer.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	frames := 0
	go func() {
		defer close(done)
		err := mediatest.ReadTS(out, func(f mediatest.Received) {
			if frames++; frames == 1 {
				first(viewer)
			}
			got(f)
		})
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the viewer wrote what is no transport stream: %v", err)
		}
	}()
	_ = server.Run(ctx)
	timer := time.AfterFunc(500*time.Millisecond, func() { _ = viewer.Process.Kill() })
	<-done
	timer.Stop()
	_ = viewer.Wait()
	return context.Cause(ctx)
}
