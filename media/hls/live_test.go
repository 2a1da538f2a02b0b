package hls

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
	"camrelay/media/mediatest/hlscheck"
)

// direct is an http.RoundTripper that calls a handler.
type direct struct{ http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r := req.Clone(req.Context())
	r.RequestURI, r.RemoteAddr = req.URL.RequestURI(), "192.0.2.1:1234"
	d.ServeHTTP(w, r)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// follow plays the low-latency playlist of gate for some time.
func follow(t *testing.T, h http.Handler, path string, d time.Duration) *hlscheck.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return hlscheck.Follow(ctx, &http.Client{Transport: direct{h}}, "http://box"+path)
}

func TestAStrictPlayerFindsNoFault(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.H265AAC, mediatest.AAC} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := settings()
				cfg.Window = 10 * time.Second
				s := newSiteOf(t, cfg, kind)
				res := follow(t, s.server, s.begin(), 30*time.Second)
				for _, v := range res.Violations {
					t.Error(v)
				}
				if res.Segments < 25 || res.Parts < 130 || res.Deltas < 40 || res.Hints < 120 {
					t.Errorf("%d segments, %d parts, %d deltas, %d hints", res.Segments, res.Parts, res.Deltas, res.Hints)
				}
			})
		})
	}
}

// TestAStrictPlayerCrossesOutages plays a camera that goes away for a moment
// and comes back as it was, or with another picture, and again.
func TestAStrictPlayerCrossesOutages(t *testing.T) {
	small := mediatest.MakeClip(t, mediatest.H264AAC)
	large := mediatest.MakeClip(t, mediatest.H264Large)
	var units []*media.Unit
	from := time.Duration(0)
	for i, clip := range []*mediatest.Clip{small, small, large, small, large} {
		part := shift(clip.Until(time.Duration(6000+170*i)*time.Millisecond), from)
		units = append(units, part...)
		from = part[len(part)-1].DTS + time.Duration(i%3)*800*time.Millisecond
	}
	synctest.Test(t, func(t *testing.T) {
		s := newSiteWith(t, settings(), func(i int) *media.Unit {
			if i < len(units) {
				return units[i]
			}
			return nil
		}, small.Tracks...)
		res := follow(t, s.server, s.begin(), 28*time.Second)
		for _, v := range res.Violations {
			t.Error(v)
		}
		if st, _ := s.server.Status("gate"); st.Discontinuities < 3 || res.Segments < 20 {
			t.Errorf("%d discontinuities, %d segments", st.Discontinuities, res.Segments)
		}
	})
}

// TestAStrictPlayerCrossesGaps has names in the way of some segments.
func TestAStrictPlayerCrossesGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		list := s.begin()
		session := s.server.running[product{name: "gate"}].muxer.session
		for _, n := range []uint64{7, 8, 12} {
			if err := os.MkdirAll(filepath.Join(s.dir, "gate", mediaName(session, n), "x"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		res := follow(t, s.server, list, 30*time.Second)
		for _, v := range res.Violations {
			t.Error(v)
		}
		if st, _ := s.server.Status("gate"); st.Gaps != 3 || res.Segments < 20 {
			t.Errorf("%d gaps, %d segments", st.Gaps, res.Segments)
		}
	})
}
