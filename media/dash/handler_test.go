package dash

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func TestHandler(t *testing.T) {
	s := newSite(t, mediatest.MakeClip(t, mediatest.H264AAC), time.Minute)
	at := ticks(s.Windows(t.Context())[0].Segments[4].Ticks()) // it stays for a while
	media := mediaName(session, 0, at, 1)
	init := "/gate/" + initName(session, 1, 2)
	_, whole := mediatest.Fetch(t, "GET", s.url+"/gate/"+media)
	for _, tc := range []struct {
		name, method, path, header, value string
		status                            int
		want                              map[string]string
	}{
		{"manifest", "GET", "/gate/manifest.mpd", "", "", 200, map[string]string{
			"Content-Type": "application/dash+xml", "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*",
		}},
		{"manifest, headers only", "HEAD", "/gate/manifest.mpd", "", "", 200, map[string]string{
			"Content-Type": "application/dash+xml",
		}},
		{"range of a manifest, which is another each time", "GET", "/gate/manifest.mpd", "Range", "bytes=0-9", 200, nil},
		{"segment", "GET", "/gate/" + media, "", "", 200, map[string]string{
			"Content-Type": "video/mp4", "Cache-Control": "max-age=3600, immutable", "Accept-Ranges": "bytes",
			"ETag": `"` + media + `"`, "Access-Control-Allow-Origin": "*",
		}},
		{"segment, headers only", "HEAD", "/gate/" + media, "", "", 200, map[string]string{
			"ETag": `"` + media + `"`, "Content-Length": ticks(int64(len(whole))),
		}},
		{"range of a segment", "GET", "/gate/" + media, "Range", "bytes=4-7", 206, map[string]string{
			"Content-Length": "4", "Content-Range": "bytes 4-7/" + ticks(int64(len(whole))),
		}},
		{"range behind the end", "GET", "/gate/" + media, "Range", "bytes=99999999-", 416, nil},
		{"segment that is known already", "GET", "/gate/" + media, "If-None-Match", `"` + media + `"`, 304, nil},
		{"segment of which another is known", "GET", "/gate/" + media, "If-None-Match", `"x"`, 200, nil},
		{"init segment", "GET", init, "", "", 200, map[string]string{"ETag": `"` + init[6:] + `"`}},
		{"init segment, headers only", "HEAD", init, "", "", 200, map[string]string{"Accept-Ranges": "bytes"}},
		{"range of an init segment", "GET", init, "Range", "bytes=0-9", 206, nil},
		{"init segment that is known already", "GET", init, "If-None-Match", `"` + init[6:] + `"`, 304, nil},
		{"track that is not there", "GET", "/gate/" + mediaName(session, 0, at, 3), "", "", 404, nil},
		{"segment of another session", "GET", "/gate/" + mediaName("00000000", 0, at, 1), "", "", 404, nil},
		{"time at which no segment begins", "GET", "/gate/" + mediaName(session, 0, at+"1", 1), "", "", 404, nil},
		{"preflight", "OPTIONS", "/gate/" + media, "Origin", "http://page", 204, map[string]string{
			"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "Authorization, Range",
		}},
		{"long query", "GET", "/gate/manifest.mpd?a=" + strings.Repeat("x", 2000), "", "", 414, nil},
		{"write", "POST", "/gate/manifest.mpd", "", "", 405, map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, body := mediatest.Fetch(t, tc.method, s.url+tc.path, tc.header, tc.value)
			if resp.StatusCode != tc.status {
				t.Fatalf("got %s, %d bytes", resp.Status, len(body))
			}
			for k, v := range tc.want {
				if got := resp.Header.Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			switch {
			case tc.method == "HEAD" && body != "":
				t.Errorf("got %d bytes", len(body))
			case tc.value == "bytes=4-7" && body != whole[4:8]:
				t.Errorf("got %q", body)
			}
		})
	}
}

// TestGrowingSegments reads the newest segment while it grows, and again.
func TestGrowingSegments(t *testing.T) {
	s := newSite(t, mediatest.MakeClip(t, mediatest.H264AAC), time.Minute)
	s.begin()
	at := s.epoch.Add(uptime + 500*time.Millisecond)
	s.clock = func() time.Time { return at }
	all := s.Windows(t.Context())[0].Segments
	m := all[len(all)-1]
	path := "/gate/" + mediaName(session, 0, ticks(m.Ticks()), 1)
	if resp, body := mediatest.Fetch(t, "HEAD", s.url+path); resp.StatusCode != http.StatusOK || body != "" || !m.Open {
		t.Errorf("%s, open %v", resp.Status, m.Open)
	}
	resp, grown := mediatest.Fetch(t, "GET", s.url+path, "Range", "bytes=0-9")
	if resp.StatusCode != http.StatusOK || resp.ContentLength >= 0 {
		t.Errorf("%s, %d bytes", resp.Status, resp.ContentLength)
	}
	at = at.Add(2 * time.Second)
	resp, whole := mediatest.Fetch(t, "GET", s.url+path)
	if resp.StatusCode != http.StatusOK || resp.ContentLength != int64(len(grown)) || whole != grown {
		t.Errorf("%s, %d bytes, %d before", resp.Status, len(whole), len(grown))
	}
}

// busy is a site where no segment can be had now.
type busy struct{ *site }

func (b busy) Enter(*http.Request, string, bool) (Visit, error) { return b, nil }

func (busy) Open(context.Context, string, int64) (Segment, error) {
	return nil, fmt.Errorf("%w: too many requests are held", hub.ErrUnavailable)
}

// TestSegmentsThatCannotBeHadNow are refused before the answer has begun.
func TestSegmentsThatCannotBeHadNow(t *testing.T) {
	s := newSite(t, mediatest.MakeClip(t, mediatest.H264AAC), time.Second)
	path := "/gate/" + mediaName(session, 0, ticks(s.Windows(t.Context())[0].Segments[0].Ticks()), 1)
	w := httptest.NewRecorder()
	New(Config{}, busy{s}, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("ETag") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestNobodyLearnsNames wants one answer to all that ask for what is not there.
func TestNobodyLearnsNames(t *testing.T) {
	s := newSite(t, mediatest.MakeClip(t, mediatest.H264), time.Second)
	mediatest.Unknown(t, s.url, []string{
		"/nope/manifest.mpd", "/nope/dash-0123abcd-0-1-1.m4s", "/nope/dash-0123abcd-init1-1.mp4", "/manifest.mpd",
		"/gate/dash-x", "/gate/dash-0123abcd-0-1-0.m4s", "/dash-", "/%2e%2e/manifest.mpd", "/nope/",
		"/nope/dash-0123abcd-0-99999999999999999999-1.m4s",
	})
}

func ticks(n int64) string { return strconv.FormatInt(n, 10) }
