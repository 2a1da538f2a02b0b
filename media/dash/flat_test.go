package dash

import (
	"encoding/xml"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media/cmaf"
	"camrelay/media/mediatest"
)

// level returns the Period that GStreamer reads.
func level(t *testing.T, leading *cmaf.Window, others ...*cmaf.Window) (period, string) {
	t.Helper()
	b, err := newManifest(leading, others, form{flat: true}, time.Unix(1_000_065, 0))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Periods []period `xml:"Period"`
	}
	plain := strings.NewReplacer(`start="PT`, `begin="PT`).Replace(string(b))
	if err := xml.Unmarshal([]byte(plain), &m); err != nil || len(m.Periods) != 1 {
		t.Fatalf("%d Periods, %v\n%s", len(m.Periods), err, b)
	}
	return m.Periods[0], string(b)
}

func TestFlatManifest(t *testing.T) {
	both := mediatest.MakeClip(t, mediatest.H264AAC).Tracks
	entries := func(p period) []entry { return p.Sets[0].Representations[0].Template.Entries }
	t.Run("nothing but time comes before the first segment, and the last one may be a little longer", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 62)
		p, text := level(t, &w)
		want := []entry{{0, 60 * 90000}, {60 * 90000, 90000}, {61 * 90000, 90000}, {62 * 90000, 90000 + 18000}}
		if !slices.Equal(entries(p), want) || !strings.Contains(text, `<Period id="`+p.ID+`" start="PT0S"`) {
			t.Error(text)
		}
	})
	t.Run("time goes on through an outage, without a segment", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 75, 76)
		p, text := level(t, &w)
		got := entries(p)
		if len(got) != 6 || got[3] != (entry{62 * 90000, 13 * 90000}) {
			t.Error(text)
		}
		for i, e := range got[1:] {
			if e.Time != got[i].Time+got[i].Duration {
				t.Errorf("%+v does not follow %+v", e, got[i])
			}
		}
		for at, want := range map[int64]bool{
			0: true, 62 * 90000: true, 62*90000 + 1: false, 61 * 90000: false, 90000: false,
		} {
			if isFiller(&w, w.Segments[0].Session, at) != want {
				t.Errorf("what is at %d is taken for the opposite", at)
			}
		}
		if isFiller(&w, "ffffffff", 0) {
			t.Error("a session that is gone has fillers")
		}
	})
	t.Run("the growing segment is left out", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 62)
		w.Segments[2].Open = true
		if p, text := level(t, &w); len(entries(p)) != 3 {
			t.Error(text)
		}
	})
}

func TestFlatManifestGoesOn(t *testing.T) {
	both := mediatest.MakeClip(t, mediatest.H264AAC).Tracks
	t.Run("what needs another initialization is left out, and the Period is another", func(t *testing.T) {
		w := windowOf("gate", both, 60, 61, 75, 76)
		before, _ := level(t, &w)
		for i := range w.Segments[2:] {
			w.Segments[2+i].Init, w.Segments[2+i].Tracks = 2, both[:1]
		}
		p, text := level(t, &w)
		got := p.Sets[0].Representations[0].Template.Entries
		if len(got) != 3 || p.ID == before.ID || !strings.Contains(text, "init2-1") {
			t.Error(text)
		}
	})
	t.Run("another session with the same tracks is the same Period", func(t *testing.T) {
		w, o := windowOf("gate", both, 60, 61), windowOf("gate", both, 62, 63)
		for i := range o.Segments {
			o.Segments[i].Session = "ffffffff"
		}
		before, _ := level(t, &w)
		if after, text := level(t, &o); after.ID != before.ID || !strings.Contains(text, "dash-ffffffff-0-$Time$-1") {
			t.Error(text)
		}
	})
	t.Run("a player begins where there are segments", func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			starts []float64
			want   string
		}{
			{"three lengths behind", []float64{60, 61, 62, 63, 64}, "PT3S"},
			{"at the first one there is", []float64{63, 64}, "PT2S"},
			{"at the last one there is", []float64{50, 51}, "PT13.5S"},
		} {
			w := windowOf("gate", both, tc.starts...)
			if _, text := level(t, &w); !strings.Contains(text, `suggestedPresentationDelay="`+tc.want+`"`) {
				t.Errorf("%s: %s", tc.name, text)
			}
		}
	})
	t.Run("rungs of a ladder show one moment at one time", func(t *testing.T) {
		w, o := windowOf("gate", both, 60, 61), windowOf("gate/sub", both[:1], 59.5, 60.5)
		o.Base = "../gate/sub/"
		p, text := level(t, &w, &o)
		reps := p.Sets[0].Representations
		if len(reps) != 2 || reps[1].Template.Entries[1].Time != 59.5*90000 || reps[0].ID == reps[1].ID {
			t.Error(text)
		}
	})
}
