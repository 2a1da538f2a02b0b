package hls

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
	"camrelay/media/mediatest/hlscheck"
)

// killedRig returns a rig that has packaged 4.5 s, with what it listed. Nothing
// of it is closed.
func killedRig(t *testing.T, f form, dir string, cfg Config) (r *rig, before *hlscheck.List) {
	t.Helper()
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r = newRigOf(t, f, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	for i, u := range clip.Until(4500 * time.Millisecond) {
		r.feed(u)
		if i == 200 && f == fragmented {
			r.body("/gate/live.m3u8") // so that lengths are promised
		}
	}
	return r, parseLive(t, r.body("/gate/live.m3u8"))
}

// TestWhatWasListedIsListedAgain kills a packager: the next one lists what that
// has listed, its open segment too, and goes on with a discontinuity.
func TestWhatWasListedIsListedAgain(t *testing.T) {
	dir, cfg := t.TempDir(), settings()
	cfg.Window, cfg.StartTimeout = time.Minute, 100*time.Millisecond
	first, before := killedRig(t, fragmented, dir, cfg)
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	r.check() // all of it can be loaded
	after := parseLive(t, r.body("/gate/live.m3u8"))
	want := slices.Clone(before.Segments)
	open := before.Open
	open.URI = strings.TrimSuffix(open.Parts[0].URI, ".0.m4s") + mediaSuffix
	for _, p := range open.Parts {
		open.Duration += p.Duration
	}
	want = append(want, open)
	if after.Sequence != before.Sequence || !slices.EqualFunc(after.Segments, want, sameSegment) {
		t.Errorf("listed from %d on:\n%+v\nwant from %d on:\n%+v", after.Sequence, after.Segments, before.Sequence, want)
	}
	for _, p := range open.Parts {
		r.body("/gate/" + p.URI)
	}
	used, _ := r.muxer.budget.Used()
	if was, _ := first.muxer.budget.Used(); used != was {
		t.Errorf("%d bytes are accounted for, %d before", used, was)
	}
	if resp := r.get("/gate/index.m3u8"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("what is not known yet is told: %s", resp.Status)
	}
	r.feed(clip.Until(4500 * time.Millisecond)...)
	l := r.check()
	if s := l.segments[len(want)]; !s.discontinuity || s.number != 1 || s.init == open.Map {
		t.Errorf("got %+v after what was listed before", s)
	}
	r.body("/gate/index.m3u8")
	if w := r.muxer.window(); len(w.Segments) != 5 {
		t.Errorf("DASH is told of %d segments", len(w.Segments))
	}
	r.pack.abandon()
	if err := r.muxer.close(true); err != nil {
		t.Fatal(err)
	}
	if used, _ := r.muxer.budget.Used(); used != 0 {
		t.Errorf("%d bytes are still accounted for", used)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func sameSegment(a, b hlscheck.Segment) bool {
	return a.URI == b.URI && a.Map == b.Map && (a.Duration-b.Duration).Abs() < time.Millisecond &&
		(a.DateTime.Equal(b.DateTime) || b.DateTime.IsZero()) && a.Discontinuity == b.Discontinuity && !a.Gap
}

// TestWindowsThatAreNotInherited begins anew where what was left cannot be used.
func TestWindowsThatAreNotInherited(t *testing.T) {
	journal := filepath.Join("gate", journalName)
	edit := func(dir string, change func(string) string) error {
		b, err := os.ReadFile(filepath.Join(dir, journal))
		return errors.Join(err, os.WriteFile(filepath.Join(dir, journal), []byte(change(string(b))), 0o600))
	}
	longAgo := time.Now().Add(-2 * outdated)
	for _, tc := range []struct {
		name  string
		spoil func(dir string, before *hlscheck.List, cfg *Config) error
		left  int // segments that are listed
	}{
		{"it can be used", func(string, *hlscheck.List, *Config) error { return nil }, 5},
		{"it is old", func(dir string, _ *hlscheck.List, _ *Config) error {
			return os.Chtimes(filepath.Join(dir, journal), longAgo, longAgo)
		}, 0},
		{"there is no journal", func(dir string, _ *hlscheck.List, _ *Config) error {
			return os.Remove(filepath.Join(dir, journal))
		}, 0},
		{"there is no state", func(dir string, _ *hlscheck.List, _ *Config) error {
			return os.Remove(filepath.Join(dir, "gate", stateName))
		}, 0},
		{"other segments are wanted", func(_ string, _ *hlscheck.List, cfg *Config) error {
			cfg.Segment *= 2
			return nil
		}, 0},
		{"other parts are wanted", func(_ string, _ *hlscheck.List, cfg *Config) error {
			cfg.Part *= 2
			return nil
		}, 0},
		{"a file is missing", func(dir string, before *hlscheck.List, _ *Config) error {
			return os.Remove(filepath.Join(dir, "gate", before.Segments[1].URI))
		}, 3},
		{"a file was cut off", func(dir string, before *hlscheck.List, _ *Config) error {
			return os.Truncate(filepath.Join(dir, "gate", before.Segments[2].URI), 100)
		}, 2},
		{"the init segment is missing", func(dir string, before *hlscheck.List, _ *Config) error {
			return os.Remove(filepath.Join(dir, "gate", before.Segments[0].Map))
		}, 0},
		{"a number is missing in the journal", func(dir string, before *hlscheck.List, _ *Config) error {
			return edit(dir, func(s string) string {
				i, j := strings.Index(s, "s "+before.Segments[1].URI), strings.Index(s, "s "+before.Segments[2].URI)
				return s[:i] + s[j:]
			})
		}, 3},
		{"the journal's end is missing", func(dir string, _ *hlscheck.List, _ *Config) error {
			return edit(dir, func(s string) string { return s[:len(s)/2] })
		}, 0},
		{"the journal is of another kind", func(dir string, _ *hlscheck.List, _ *Config) error {
			return edit(dir, strings.ToUpper)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, cfg := t.TempDir(), settings()
			cfg.Window = time.Minute
			_, before := killedRig(t, fragmented, dir, cfg)
			if err := tc.spoil(dir, before, &cfg); err != nil {
				t.Fatal(err)
			}
			clip := mediatest.MakeClip(t, mediatest.H264AAC)
			r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
			if n := len(r.muxer.segments); n != tc.left {
				t.Fatalf("%d segments are listed again, want %d", n, tc.left)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "gate", "*.m4s")); len(files) != tc.left {
				t.Errorf("files: %v", files)
			}
			r.feed(clip.Until(4500 * time.Millisecond)...)
			if l := r.check(); l.segments[tc.left].number == 0 && tc.name != "there is no state" {
				t.Errorf("no discontinuity before %+v", l.segments[tc.left])
			}
		})
	}
}

// TestRoomForWhatIsInherited has less room than the packager before.
func TestRoomForWhatIsInherited(t *testing.T) {
	dir, cfg := t.TempDir(), settings()
	cfg.Window = time.Minute
	first, _ := killedRig(t, fragmented, dir, cfg)
	used, _ := first.muxer.budget.Used()
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	budget := NewBudget(used/2, used/2)
	r := newRigIn(t, dir, cfg, budget, clip.Tracks)
	if n := len(r.muxer.segments); n == 0 || n >= 5 {
		t.Errorf("%d segments are listed again", n)
	}
	r.check()
	if used, total := budget.Used(); used > total {
		t.Errorf("%d of %d bytes are used", used, total)
	}
}

// TestTheJournalStaysShort packages for a while, and is killed.
func TestTheJournalStaysShort(t *testing.T) {
	dir := t.TempDir()
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRigIn(t, dir, settings(), NewBudget(1<<30, 1<<30), clip.Tracks)
	units := clip.Until(5 * time.Minute)
	r.feed(units[:1000]...)
	r.check() // so that lengths are promised
	for some := range slices.Chunk(units[1000:], 1000) {
		r.feed(some...)
		for _, s := range r.muxer.segments {
			if s.sequence < r.muxer.first {
				s.expires = time.Now() // as if it had taken as long as it is
			}
		}
	}
	st, err := os.Stat(filepath.Join(dir, "gate", journalName))
	if err != nil || st.Size() > 2*maxJournal {
		t.Errorf("%v bytes: %v", st.Size(), err)
	}
	before := r.check()
	again := newRigIn(t, dir, settings(), NewBudget(1<<30, 1<<30), clip.Tracks)
	if l := again.check(); l.segments[0].uri != before.segments[0].uri || len(l.segments) < len(before.segments) {
		t.Errorf("listed:\n%+v\nbefore:\n%+v", l, before)
	}
}

// TestNumbersOfGapsAreNotGivenOutAgain kills a packager whose open segment could
// not be written: its number was shown.
func TestNumbersOfGapsAreNotGivenOutAgain(t *testing.T) {
	dir, cfg := t.TempDir(), settings()
	cfg.Window = time.Minute
	first, _ := killedRig(t, fragmented, dir, cfg)
	first.muxer.budget.perStream = 0
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	fed := len(clip.Until(4500 * time.Millisecond))
	for _, u := range clip.Until(10 * time.Second)[fed:] {
		first.feed(u)
		if s := first.muxer.current; s != nil && s.gap && len(s.parts) > 1 && first.muxer.shown <= s.sequence {
			first.muxer.lowLatency(false)
			break
		}
	}
	shown := first.muxer.current.sequence
	r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	r.feed(clip.Until(4500 * time.Millisecond)...)
	l := r.check()
	if l.segments[len(l.segments)-1].uri == "" || r.muxer.numbers.sequence <= shown+1 || l.sequence <= shown {
		t.Errorf("listed from %d on after the gap %d", l.sequence, shown)
	}
}

// TestWhatHasJustLeftIsServedOn kills a packager whose playlist slides.
func TestWhatHasJustLeftIsServedOn(t *testing.T) {
	dir := t.TempDir()
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRigIn(t, dir, settings(), NewBudget(1<<30, 1<<30), clip.Tracks)
	units := clip.Until(12 * time.Second)
	r.feed(units[:300]...)
	before := r.check()
	r.feed(units[300:]...)
	last := parseList(t, r.body("/gate/hls.m3u8"))
	for range 2 { // the second is killed before it has packaged anything
		again := newRigIn(t, dir, settings(), NewBudget(1<<30, 1<<30), clip.Tracks)
		l := again.check()
		if l.sequence != last.sequence || l.sequence <= before.sequence {
			t.Errorf("listed from %d on, was %d and before that %d", l.sequence, last.sequence, before.sequence)
		}
		for _, s := range before.segments {
			again.body("/gate/" + s.uri)
		}
	}
}

// TestASegmentThatWasTakenAwayStaysAway kills a packager just after another
// stream has needed room.
func TestASegmentThatWasTakenAwayStaysAway(t *testing.T) {
	dir, cfg := t.TempDir(), settings()
	cfg.Window = time.Minute
	first, before := killedRig(t, fragmented, dir, cfg)
	first.muxer.retire(first.muxer.segments[1])
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	fed := len(clip.Until(4500 * time.Millisecond))
	first.feed(clip.Until(4900 * time.Millisecond)[fed:]...)
	now := parseLive(t, first.body("/gate/live.m3u8"))
	r := newRigIn(t, dir, cfg, NewBudget(1<<30, 1<<30), clip.Tracks)
	if l := r.check(); l.sequence != now.Sequence || now.Sequence != before.Sequence+2 {
		t.Errorf("listed from %d on, was %d, and %d before that", l.sequence, now.Sequence, before.Sequence)
	}
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(journalHead + "s 0123abcd-7.m4s 0123abcd-init1.mp4 7 1 -di 1700000000000000000 5 5\n" +
		"p 200000000 4711 5 100 1 6\np 200000000 4711 5 100 0 6\ne 400000000 0 6\n" +
		"s 0123abcd-8.m4s 0123abcd-init1.mp4 8 1 - 1700000000400000000 5 5\np 200000000 4711 5 100 1 6\n"))
	f.Add([]byte(journalHead + "s 0123abcd-1.ts - 3 0 -i 5 5 5\np 1 1 0 0 0 0\n"))
	f.Add([]byte(journalHead + "p 1 1 0 0 0 0\ne 5\n"))
	f.Add([]byte("camrelay hls window 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, of := range forms() {
			all, _ := parseJournal(b, of)
			for i, s := range all {
				if own, ok := formOf(s.name); !ok || own != of || len(s.parts) == 0 && i == len(all)-1 ||
					i > 0 && s.sequence != all[i-1].sequence+1 || s.duration < 0 || s.size <= 0 && len(s.parts) > 0 {
					t.Fatalf("segment %d: %+v", i, s)
				}
			}
		}
	})
}
