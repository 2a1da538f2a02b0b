package hls

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestRestart(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	dir := t.TempDir()
	cfg := settings()
	run := func(check func(r *rig)) {
		r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
		r.feed(clip.Until(4500 * time.Millisecond)...)
		check(r)
	}
	var before *listing
	run(func(r *rig) { before = r.check() })
	// A crash: nothing is closed, and long ago. Somebody has left files of theirs.
	longAgo := time.Now().Add(-2 * outdated)
	if err := os.Chtimes(filepath.Join(dir, "gate", journalName), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	foreign := []string{"gate/notes.txt", "gate/0123456789-1.m4s", "gate/0123abcd-x.m4s", "README"}
	for _, f := range foreign {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(func(r *rig) {
		r.last = before
		after := r.check()
		if after.sequence < before.sequence+uint64(len(before.segments)) {
			t.Errorf("sequence %d after %d", after.sequence, before.sequence)
		}
		if s := after.segments[0]; s.number != 1 {
			t.Errorf("no discontinuity before %+v", s)
		}
		for _, s := range before.segments {
			if _, err := os.Stat(filepath.Join(dir, "gate", s.uri)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", s.uri, err)
			}
		}
		r.pack.abandon()
		if err := r.muxer.close(false); err != nil {
			t.Fatal(err)
		}
		if used, _ := r.muxer.budget.Used(); used != 0 {
			t.Errorf("%d bytes are still accounted for", used)
		}
	})
	cfg.Segment = 2 * time.Second // other settings: another target duration may rule
	run(func(r *rig) {
		if l := r.check(); l.target != 2 || l.sequence <= before.sequence {
			t.Errorf("got %+v", l)
		}
	})
	for _, f := range foreign {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Errorf("a foreign file is gone: %v", err)
		}
	}
}

func TestRunLeavesNothing(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	for _, tc := range []struct {
		name string
		end  func(s *hub.Stream, cancel context.CancelFunc)
		want error
		left int // files
	}{
		{"when told to end, but for the state", func(_ *hub.Stream, cancel context.CancelFunc) { cancel() }, nil, 1},
		{"when the stream ends", func(s *hub.Stream, _ context.CancelFunc) { s.Close() }, hub.ErrEnded, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, budget := t.TempDir(), NewBudget(1<<30, 1<<30)
			stream := hub.NewStream("gate")
			stream.SetTracks(append([]*media.Track(nil), clip.Tracks...))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := NewMuxer(settings(), openRoot(t, dir), budget, stream, quiet())
			done := make(chan error)
			go func() { done <- m.Run(ctx) }()
			for stream.Units.Readers() == 0 {
				runtime.Gosched()
			}
			stream.Units.Append(clip.Until(10 * time.Second)...)
			<-m.ready
			tc.end(stream, cancel)
			if err := <-done; !errors.Is(err, tc.want) {
				t.Errorf("Run returned %v", err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
			dirs, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(files) != tc.left || len(dirs) != tc.left {
				t.Errorf("left: %v %v", files, dirs)
			}
			if used, _ := budget.Used(); used != 0 {
				t.Errorf("%d bytes are still accounted for", used)
			}
		})
	}
}
