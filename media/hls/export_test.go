package hls

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"camrelay/media/cmaf"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

// TestVisitsSeeWhatPlaylistsShow compares a window with the playlist, and reads
// a segment while it grows.
func TestVisitsSeeWhatPlaylistsShow(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(2500 * time.Millisecond)...)
	req := httptest.NewRequest(http.MethodGet, "/gate/manifest.mpd", nil)
	v, err := r.server.Enter(req, "gate", "dash", true)
	if err != nil {
		t.Fatal(err)
	}
	windows := v.Windows(t.Context())
	if len(windows) != 1 || windows[0].Query == "" || windows[0].Base != "" {
		t.Fatalf("%+v", windows)
	}
	segments := windows[0].Segments
	list := parseList(t, r.body("/gate/hls.m3u8"))
	for i := range segments[:len(segments)-1] {
		checkRates(t, v, &windows[0], i)
	}
	last := segments[len(segments)-1]
	if len(segments) != len(list.segments)+1 || !last.Open {
		t.Fatalf("%d segments, %d in the playlist", len(segments), len(list.segments))
	}
	for i, want := range list.segments {
		s, err := v.Open(t.Context(), segments[i].Session, segments[i].Ticks())
		if err != nil {
			t.Fatal(err)
		}
		size, complete, err := s.Size(t.Context(), 0)
		got, rerr := io.ReadAll(io.NewSectionReader(s, 0, size))
		if err != nil || rerr != nil || !complete || !bytes.Equal(got, r.body("/gate/"+want.uri)) {
			t.Errorf("%s: %d bytes, complete %v, %v %v", want.uri, size, complete, err, rerr)
		}
		s.Close()
	}
	open, err := v.Open(t.Context(), last.Session, last.Ticks())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	before, complete, err := open.Size(t.Context(), 0)
	if err != nil || complete || len(open.Tracks()) != 2 {
		t.Fatalf("complete %v, %v", complete, err)
	}
	r.pack.stop()
	after, complete, err := open.Size(t.Context(), before)
	if err != nil || !complete || after <= before {
		t.Errorf("%d bytes after %d, complete %v, %v", after, before, complete, err)
	}
	if _, err := v.Open(t.Context(), last.Session, last.Ticks()+1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a segment that is not there: %v", err)
	}
	if _, err := v.Open(t.Context(), "00000000", last.Ticks()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a segment of another session: %v", err)
	}
	v.Leave(10, false)
	if n := len(r.server.sessions); n != 1 {
		t.Errorf("%d sessions are left", n) // that of the playlist and segments
	}
}

// checkRates holds the bit rates of a window against what taking the tracks out
// of a segment gives.
func checkRates(t *testing.T, v *Visit, w *cmaf.Window, i int) {
	t.Helper()
	at := &w.Segments[i]
	s, err := v.Open(t.Context(), at.Session, at.Ticks())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	size, _, err := s.Size(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for k, told := range w.Bandwidth {
		var e fmp4.Extractor
		b, err := e.Append(nil, s, 0, size, uint32(k+1))
		if err != nil {
			t.Fatal(err)
		}
		if rate := float64(len(b)) * 8 / at.Duration.Seconds(); rate > float64(told)*1.02 || rate < float64(told)*0.4 {
			t.Errorf("track %d of segment %d has %.0f bit/s, told are %d", k+1, i, rate, told)
		}
	}
}
