package hls

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestPlaylistsAndParts asks for what low-latency playlists are made of, whole,
// in part and by what is known already.
func TestPlaylistsAndParts(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(6 * time.Second)...)
	last := r.muxer.segments[len(r.muxer.segments)-1]
	part := partName(r.muxer.session, last.sequence, 1)
	init, size := last.init.name, last.parts[1].size
	tag := func(file string) string { return `"` + file + `"` }
	list := len(r.body("/gate/live.m3u8"))
	server := httptest.NewServer(r.server)
	defer server.Close()
	for _, tc := range []struct {
		name, method, file, header, value string
		status, body                      int
		want                              map[string]string
	}{
		{"low-latency playlist", "GET", "live.m3u8", "", "", 200, list, map[string]string{
			"Content-Type": "application/vnd.apple.mpegurl", "Cache-Control": "no-cache", "ETag": "",
		}},
		{"its headers", "HEAD", "live.m3u8", "", "", 200, 0, map[string]string{
			"Content-Type": "application/vnd.apple.mpegurl", "Content-Length": fmt.Sprint(list),
		}},
		{"range of it, which is another each time", "GET", "live.m3u8", "Range", "bytes=0-9", 200, list, nil},
		{"multivariant playlist's headers", "HEAD", "index.m3u8", "", "", 200, 0, map[string]string{
			"Cache-Control": "no-cache",
		}},
		{"part", "GET", part, "", "", 200, int(size), map[string]string{
			"Content-Type": "video/mp4", "ETag": tag(part), "Accept-Ranges": "bytes",
		}},
		{"a part's headers", "HEAD", part, "", "", 200, 0, map[string]string{
			"Content-Length": fmt.Sprint(size), "ETag": tag(part),
		}},
		{"range of a part", "GET", part, "Range", "bytes=8-11", 206, 4, map[string]string{
			"Content-Range": fmt.Sprintf("bytes 8-11/%d", size),
		}},
		{"range behind a part", "GET", part, "Range", fmt.Sprintf("bytes=%d-", size), 416, -1, nil},
		{"part that is known already", "GET", part, "If-None-Match", tag(part), 304, 0, nil},
		{"part of which another is known", "GET", part, "If-None-Match", `"x"`, 200, int(size), nil},
		{"init segment that is known already", "GET", init, "If-None-Match", tag(init), 304, 0, nil},
		{"an init segment's headers", "HEAD", init, "", "", 200, 0, map[string]string{"ETag": tag(init)}},
		{"range of an init segment", "GET", init, "Range", "bytes=4-7", 206, 4, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, body := mediatest.Fetch(t, tc.method, server.URL+"/gate/"+tc.file, tc.header, tc.value)
			if resp.StatusCode != tc.status || tc.body >= 0 && len(body) != tc.body {
				t.Fatalf("got %s and %d bytes, want %d", resp.Status, len(body), tc.body)
			}
			for k, v := range tc.want {
				if got := resp.Header.Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
		})
	}
}

// TestNobodyLearnsNames wants one answer to all that ask for what is not there.
func TestNobodyLearnsNames(t *testing.T) {
	s := NewServer(settings(), openRoot(t, t.TempDir()), NewBudget(1, 1),
		func(context.Context, hub.Request) (*hub.Subscription, error) { return nil, hub.ErrNotFound }, quiet())
	s.serving = true
	server := httptest.NewServer(s)
	defer server.Close()
	mediatest.Unknown(t, server.URL, []string{
		"/nope/index.m3u8", "/nope/live.m3u8", "/nope/hls.m3u8", "/nope/0123abcd-17.m4s", "/nope/0123abcd-17.3.m4s",
		"/nope/0123abcd-init1.mp4", "/nope/0123abcd-x.m4s", "/nope/", "/nope", "/index.m3u8", "/NOPE/hls.m3u8",
		"/%2e%2e/hls.m3u8", "/nope/..%2fhls.m3u8", "/nope/hls.state", "/" + strings.Repeat("x", 300) + "/hls.m3u8",
	})
}
