package hls

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/codec"
	"camrelay/media/mediatest"
)

// timed returns a rig whose media time is that of its Server.
func timed(t *testing.T, dir string) *rig {
	t.Helper()
	return timedOf(t, dir, mediatest.MakeClip(t, mediatest.H264AAC))
}

func timedOf(t *testing.T, dir string, clip *mediatest.Clip) *rig {
	t.Helper()
	cfg := settings()
	cfg.Window, cfg.StartTimeout = time.Minute, 100*time.Millisecond
	r := newStillRig(t, fragmented, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	r.muxer.epoch = r.server.epoch
	r.pack = r.muxer.open()
	return r
}

// deliver packages 4.5 s. Players are told of what is to come in the midst of it.
func (r *rig) deliver() {
	r.tb.Helper()
	for i, u := range mediatest.MakeClip(r.tb, mediatest.H264AAC).Until(4500 * time.Millisecond) {
		if r.feed(u); i == 200 {
			r.body("/gate/live.m3u8")
		}
	}
}

// enter lets a player by DASH in.
func (r *rig) enter() (*Visit, error) {
	return r.server.Enter(httptest.NewRequest(http.MethodGet, "/gate/manifest.mpd", nil), "gate", "dash", true)
}

// TestDASHGoesOnInTheNextProcess lists, after a kill, the same segments at the same
// media time of the same epoch, with their tracks, and those of the next process
// behind them.
func TestDASHGoesOnInTheNextProcess(t *testing.T) {
	dir := t.TempDir()
	first := timed(t, dir)
	first.deliver()
	before, zero := first.muxer.window().Segments, first.server.epoch.begin()

	r := timed(t, dir)
	if off := r.server.epoch.begin().Sub(zero); off.Abs() > 20*time.Millisecond {
		t.Errorf("media time 0 has moved by %v", off)
	}
	visit, err := r.enter()
	if err != nil {
		t.Fatal(err)
	}
	after := visit.Windows(t.Context())[0].Segments
	if len(before) != 5 || !before[4].Open || !slices.EqualFunc(after, before, sameOnTime) || after[4].Open {
		t.Fatalf("listed\n%+v\nwant\n%+v", after, before)
	}
	for i := range after {
		s := &after[i]
		if visit.Tracks(s.Session, int64(s.Init)) == nil {
			t.Errorf("segment %d has no init segment", i)
		}
		if got, want := r.content(visit, s), contentOf(t, dir, i); len(got) == 0 || !bytes.HasPrefix(want, got) {
			t.Errorf("segment %d has %d bytes, the file %d", i, len(got), len(want))
		}
	}
	if _, err := visit.Open(t.Context(), "00000000", after[0].Ticks()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a session that nobody has had: %v", err)
	}
	visit.Leave(0, true)

	r.wall = first.wall.Add(6 * time.Second)
	r.deliver()
	all := r.muxer.window().Segments
	if last, next := all[4], all[5]; len(all) != 10 || next.Session == last.Session || next.Run <= last.Run ||
		next.RunStart != next.Start || next.Start < last.Start+last.Duration {
		t.Errorf("%+v follows %+v", next, last)
	}
}

// sameOnTime tells whether two segments are one.
func sameOnTime(a, b cmaf.Segment) bool {
	return a.Session == b.Session && a.Run == b.Run && a.RunStart == b.RunStart && a.Init == b.Init &&
		a.Start == b.Start && a.Duration == b.Duration && a.Independent == b.Independent &&
		slices.EqualFunc(a.Tracks, b.Tracks, func(x, y *media.Track) bool { return codec.String(x) == codec.String(y) })
}

// content returns the bytes of a segment.
func (r *rig) content(v *Visit, s *cmaf.Segment) []byte {
	r.tb.Helper()
	g, err := v.Open(context.Background(), s.Session, s.Ticks())
	if err != nil {
		r.tb.Fatal(err)
	}
	defer g.Close()
	size, complete, err := g.Size(context.Background(), 0)
	if err != nil || !complete {
		r.tb.Fatalf("complete %v, %v", complete, err)
	}
	b, err := io.ReadAll(io.NewSectionReader(g, 0, size))
	if err != nil {
		r.tb.Fatal(err)
	}
	return b
}

// contentOf returns what is in the file of a segment.
func contentOf(t *testing.T, dir string, n int) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "gate", "*-"+string(rune('0'+n))+mediaSuffix))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of segment %d: %v, %v", n, files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// edit replaces something in the journal.
func edit(old, text string) func(dir string) error {
	return func(dir string) error {
		name := filepath.Join(dir, "gate", journalName)
		b, err := os.ReadFile(name)
		if err == nil && !bytes.Contains(b, []byte(old)) {
			err = errors.New("there is no " + old)
		}
		return errors.Join(err, os.WriteFile(name, bytes.Replace(b, []byte(old), []byte(text), 1), 0o600))
	}
}

// TestDASHBeginsAnewWithoutATimeLine and where the init segment is another than
// is noted, as after a change of the program.
func TestDASHBeginsAnewWithoutATimeLine(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no epoch":                    edit("z ", "x "),
		"an epoch of before the boot": edit("z ", "z 9000000000"),
		"garbage":                     edit("z ", "z z"),
		"another init segment": func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "gate", "*"+initSuffix))
			if err != nil || len(files) != 1 {
				return errors.Join(err, errors.New("no init segment"))
			}
			return os.WriteFile(files[0], []byte("x"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			timed(t, dir).deliver()
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			r := timed(t, dir)
			if w := r.muxer.window(); len(w.Segments) != 0 {
				t.Errorf("DASH is told of %+v", w.Segments)
			}
			if _, err := r.enter(); err == nil {
				t.Error("a player is let in to nothing")
			}
			r.wall = r.wall.Add(6 * time.Second)
			r.deliver()
			if w := r.muxer.window(); len(w.Segments) != 5 {
				t.Errorf("DASH is told of %d segments", len(w.Segments))
			}
		})
	}
}
