package dash

import (
	"encoding/xml"
	"math"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
)

var (
	picture = &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG, Width: 640, Height: 360}
	sound   = &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, ClockRate: 48000, Channels: 2}
)

// windowOf returns a window of segments of a second each, from starts on in media
// seconds; a run begins wherever they do not follow one another.
func windowOf(name string, tracks []*media.Track, starts ...float64) cmaf.Window {
	w := cmaf.Window{
		Name: name, Epoch: time.Unix(1_000_000, 0), Target: 2 * time.Second, Part: 200 * time.Millisecond,
		Bandwidth: []int{1_000_000, 64_000}, FrameRate: 25,
	}
	run, from, last := uint64(0), starts[0], starts[0]-1
	for _, at := range starts {
		if math.Abs(at-last-1) > 0.01 {
			run, from = run+1, at
		}
		last = at
		w.Segments = append(w.Segments, cmaf.Segment{
			Session: "0123abcd", Init: 1, Tracks: tracks, Run: run, RunStart: length(from), Start: length(at),
			Duration: time.Second, Independent: true,
		})
	}
	return w
}

func length(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// read returns the manifest as a player reads it.
func read(t *testing.T, leading *cmaf.Window, others ...*cmaf.Window) (m struct {
	Periods []period `xml:"Period"`
}, text string,
) {
	t.Helper()
	b, err := newManifest(leading, others, form{named: true}, time.Unix(1_000_100, 0))
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer(`start="PT`, `begin="PT`).Replace(string(b))
	if err := xml.Unmarshal([]byte(plain), &m); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return m, string(b)
}

func TestManifest(t *testing.T) {
	both := []*media.Track{picture, sound}
	t.Run("one run is one Period of picture and sound", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 62)
		m, text := read(t, &w)
		if len(m.Periods) != 1 || len(m.Periods[0].Sets) != 2 || !strings.Contains(text, `start="PT60S"`) {
			t.Fatal(text)
		}
		for _, s := range m.Periods[0].Sets {
			if n := len(s.Representations[0].Template.Entries); n != 3 {
				t.Errorf("%d segments of %s", n, s.ContentType)
			}
		}
	})
	t.Run("a Period keeps its start and its ID while segments leave it", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 62)
		before, _ := read(t, &w)
		w.Segments = w.Segments[2:]
		after, text := read(t, &w)
		if before.Periods[0].ID != after.Periods[0].ID || !strings.Contains(text, `start="PT60S"`) {
			t.Error(text)
		}
		first := after.Periods[0].Sets[0].Representations[0].Template
		if first.Entries[0].Time-first.Offset != 2*cmaf.Scale {
			t.Errorf("%+v", first)
		}
	})
	t.Run("an outage begins a Period", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 75, 76)
		m, text := read(t, &w)
		if len(m.Periods) != 2 || !strings.Contains(text, `start="PT75S"`) {
			t.Error(text)
		}
	})
	t.Run("the growing segment has the usual length", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 62)
		w.Segments[2].Open, w.Segments[2].Duration = true, 200*time.Millisecond
		m, text := read(t, &w)
		got := m.Periods[0].Sets[0].Representations[0].Template
		if got.Entries[2].Duration != cmaf.Scale || got.Ahead != "0.800" || got.Complete != "false" {
			t.Error(text)
		}
	})
	t.Run("rungs of a ladder show one moment at one time", func(t *testing.T) {
		w, o := windowOf("gate", both, 60, 61, 62), windowOf("gate/sub", []*media.Track{picture}, 59.5, 60.5, 61.5)
		o.Base, o.Query = "../gate/sub/", "?a=1&via=gate"
		m, text := read(t, &w, &o)
		reps := m.Periods[0].Sets[0].Representations
		if len(reps) != 2 || reps[1].Base != o.Base || reps[0].ID == reps[1].ID || m.Periods[0].Sets[0].Aligned {
			t.Fatal(text)
		}
		at := reps[1].Template.Entries[0].Time - reps[1].Template.Offset
		if at != cmaf.Scale/2 || !strings.Contains(text, "a=1&amp;via=gate") {
			t.Errorf("the first segment is at %d\n%s", at, text)
		}
	})
}

func TestParseFile(t *testing.T) {
	for _, name := range []string{
		mediaName("0123abcd", 90000, "180000", 2), initName("0123abcd", 3, 1),
	} {
		f, ok := parseFile(name)
		back := mediaName(f.session, f.base, "180000", f.track)
		if f.init {
			back = initName(f.session, int(f.number), f.track)
		}
		if !ok || back != name {
			t.Errorf("%s becomes %+v %v", name, f, ok)
		}
	}
	for _, name := range []string{
		"", "dash-", "dash-0123abcd-1-2-0.m4s", "dash-0123abcd-1-1.m4s", "dash-0123abcd-1-x-1.m4s", "dash-1-1-1-1.m4s",
		"dash-0123abcd-init1.mp4", "dash-0123abcd-1-1.mp4", "dash-0123abcd-1--1-1.m4s", "0123abcd-1-1-1.m4s",
	} {
		if f, ok := parseFile(name); ok {
			t.Errorf("%q is taken for %+v", name, f)
		}
	}
}

func TestFrameRate(t *testing.T) {
	for _, tc := range []struct {
		told, measured float64
		want           string
	}{{25, 0, "25"}, {0, 24.9, "25"}, {30000.0 / 1001, 0, "30000/1001"}, {12.5, 0, "12500/1000"}, {0, 0, ""}} {
		if got := frameRate(tc.told, tc.measured); got != tc.want {
			t.Errorf("%v %v: %s, want %s", tc.told, tc.measured, got, tc.want)
		}
	}
}
