package hls

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

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
				res := follow(t, s.server, s.begin(), time.Minute)
				for _, v := range res.Violations {
					t.Error(v)
				}
				if res.Segments < 55 || res.Parts < 280 || res.Deltas < 100 || res.Hints < 270 {
					t.Errorf("%d segments, %d parts, %d deltas, %d hints", res.Segments, res.Parts, res.Deltas, res.Hints)
				}
			})
		})
	}
}
