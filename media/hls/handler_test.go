package hls

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/gate/index.m3u8", "/gate/hls.m3u8", "/gate/0123abcd-17.m4s", "/gate/0123abcd-init1.mp4",
		"/gate/live.m3u8", "/gate/0123abcd-17.3.m4s", "/gate/0123abcd-17.3.4.m4s", "/gate/0123abcd-17..m4s",
		"/../etc/passwd", "/gate/../x", "/gate/hls.state", "/gate//index.m3u8", "gate/index.m3u8", "/gate/0123abcd-.m4s",
		"/yard/left/index.m3u8", "/yard//index.m3u8", "/yard/../index.m3u8", "//index.m3u8", "index.m3u8",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, file, ok := parsePath(path)
		if !ok {
			return
		}
		if path != "/"+name+"/"+file || !filepath.IsLocal(name) || !filepath.IsLocal(file) || streamOf(dirOf(name)) != name {
			t.Errorf("%q gives %q and %q", path, name, file)
		}
		if session, sequence, n, ok := parsePart(file); ok && (n < 0 || !isOwn(mediaName(session, sequence))) {
			t.Errorf("%q is part %d of segment %d of %q", file, n, sequence, session)
		}
		if strings.ContainsAny(name, "\\.\x00") || strings.ContainsAny(file, "/\\\x00") || file == stateName ||
			strings.HasPrefix(file, ".") {
			t.Errorf("%q gives %q and %q", path, name, file)
		}
	})
}

func FuzzParseState(f *testing.F) {
	f.Add(appendState(nil, numbers{sequence: 7, discontinuity: 2, target: 3, segment: time.Second}))
	f.Add([]byte("camrelay hls 1 -1 0 0 0\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseState(b)
		if n.target < 0 || n.segment < 0 || !n.used && n != (numbers{}) {
			t.Fatalf("got %+v", n)
		}
		if n.used && parseState(appendState(nil, n)) != n {
			t.Errorf("%+v does not survive", n)
		}
	})
}

func TestHandler(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(6 * time.Second)...)
	if err := os.WriteFile(filepath.Join(r.dir, "secret.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	segment := "/gate/" + r.muxer.segments[2].name
	open := "/gate/" + r.muxer.current.name
	init := "/gate/" + r.muxer.segments[2].init.name
	server := httptest.NewServer(r.server)
	defer server.Close()
	for _, tc := range []struct {
		name, method, path string
		header             [2]string
		status             int
		want               map[string]string
	}{
		{"multivariant playlist", "GET", "/gate/index.m3u8", [2]string{}, 200, map[string]string{
			"Content-Type": "application/vnd.apple.mpegurl", "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*",
		}},
		{"media playlist", "GET", "/gate/hls.m3u8", [2]string{}, 200, map[string]string{"Cache-Control": "no-cache"}},
		{"media playlist, headers only", "HEAD", "/gate/hls.m3u8", [2]string{}, 200, map[string]string{
			"Cache-Control": "no-cache",
		}},
		{"segment", "GET", segment, [2]string{}, 200, map[string]string{
			"Content-Type": "video/mp4", "Cache-Control": "max-age=3600, immutable", "Accept-Ranges": "bytes",
			"Access-Control-Allow-Origin": "*",
		}},
		{"range of a segment", "GET", segment, [2]string{"Range", "bytes=0-99"}, 206, map[string]string{
			"Content-Length": "100",
		}},
		{"segment that is known already", "GET", segment, [2]string{"If-None-Match", `"` + segment[6:] + `"`}, 304, nil},
		{"segment, headers only", "HEAD", segment, [2]string{}, 200, map[string]string{"Content-Type": "video/mp4"}},
		{"init segment", "GET", init, [2]string{}, 200, map[string]string{"Content-Type": "video/mp4"}},
		{"segment that is still open", "GET", open, [2]string{}, 404, nil},
		{"segment of another session", "GET", "/gate/00000000-2.m4s", [2]string{}, 404, nil},
		{"state file", "GET", "/gate/hls.state", [2]string{}, 404, nil},
		{"way out of the directory", "GET", "/gate/../secret.txt", [2]string{}, 404, nil},
		{"hidden way out", "GET", "/gate/..%2fsecret.txt", [2]string{}, 404, nil},
		{"hidden way up", "GET", "/%2e%2e/secret.txt", [2]string{}, 404, nil},
		{"directory", "GET", "/gate/", [2]string{}, 404, nil},
		{"preflight", "OPTIONS", segment, [2]string{"Origin", "http://page"}, 204, map[string]string{
			"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "Authorization, Range",
		}},
		{"write", "POST", "/gate/index.m3u8", [2]string{}, 405, map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"long query", "GET", "/gate/hls.m3u8?a=" + strings.Repeat("x", 2000), [2]string{}, 414, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.header[0] != "" {
				req.Header.Set(tc.header[0], tc.header[1])
			}
			resp, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != tc.status {
				t.Fatalf("got %s, %v", resp.Status, err)
			}
			for k, v := range tc.want {
				if got := resp.Header.Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			if tc.method == "HEAD" && len(body) > 0 {
				t.Errorf("got %d bytes", len(body))
			}
		})
	}
}

func TestPlaylistRepeatsTheQuery(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(6 * time.Second)...)
	const query = "?token=a%22b%0A"
	text := string(r.body("/gate/index.m3u8" + query + "&session=7"))
	if !strings.Contains(text, "\nlive.m3u8?session=7&token=a%22b%0A\n") {
		t.Error(text)
	}
	for _, s := range parseList(t, r.body("/gate/hls.m3u8"+query+"&_HLS_msn=7")).segments {
		if !strings.HasSuffix(s.uri, query) || !strings.HasSuffix(s.init, query) {
			t.Errorf("got %+v", s)
		}
		r.body("/gate/" + s.uri)
	}
	if text := string(r.body("/gate/hls.m3u8")); strings.Contains(text, "token") {
		t.Error("the query of one viewer is shown to another")
	}
}

func TestPlaylistIsCompressed(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	cfg := settings()
	cfg.Window = time.Minute
	r := newRig(t, cfg, clip.Tracks)
	r.feed(clip.Until(20 * time.Second)...)
	plain := r.body("/gate/hls.m3u8")
	req := httptest.NewRequest(http.MethodGet, "/gate/hls.m3u8", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, req)
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != string(plain) {
		t.Errorf("%v: %s", err, text)
	}
}

func TestMultivariantTellsTheTruth(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	large := mediatest.MakeClip(t, mediatest.H264Large)
	r := newRig(t, settings(), clip.Tracks)
	r.feed(clip.Until(6 * time.Second)...)
	text := string(r.body("/gate/index.m3u8"))
	if !strings.Contains(text, "RESOLUTION=320x240,FRAME-RATE=25.000\n") || !strings.Contains(text, `,mp4a.40.2"`) {
		t.Error(text)
	}
	var peak, average int
	_, line, _ := strings.Cut(text, "STREAM-INF:")
	if _, err := fmt.Sscanf(line, "BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,", &peak, &average); err != nil {
		t.Fatal(err)
	}
	for _, s := range r.check().segments {
		rate := float64(len(r.body("/gate/"+s.uri))) * 8 / s.duration.Seconds()
		if rate > float64(peak)+1 || average > peak || rate < float64(average)/2 {
			t.Errorf("%s has %.0f bit/s, told are %d and %d", s.uri, rate, peak, average)
		}
	}
	r.feed(shift(large.Until(6*time.Second), 10*time.Second)...)
	if text := string(r.body("/gate/index.m3u8")); !strings.Contains(text, "RESOLUTION=640x480") {
		t.Error(text)
	}
}

func TestErrors(t *testing.T) {
	secret := errors.New("rtsp://user:password@camera")
	for _, tc := range []struct {
		name   string
		err    error
		status int
		header string
	}{
		{"no such stream", fmt.Errorf("%w: %w", hub.ErrNotFound, secret), 404, ""},
		{"nobody said who", fmt.Errorf("%w: %w", hub.ErrDenied, secret), 401, "WWW-Authenticate"},
		{"not for you", fmt.Errorf("%w: %w", hub.ErrForbidden, secret), 403, ""},
		{"the camera is off", fmt.Errorf("%w: %w", hub.ErrUnavailable, secret), 503, "Retry-After"},
		{"anything else", secret, 503, "Retry-After"},
		{"too late", context.DeadlineExceeded, 503, "Retry-After"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewServer(settings(), openRoot(t, t.TempDir()), NewBudget(1, 1),
				func(context.Context, hub.Request) (*hub.Subscription, error) { return nil, tc.err }, quiet())
			s.serving = true
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gate/index.m3u8", nil))
			if w.Code != tc.status || tc.header != "" && w.Header().Get(tc.header) == "" {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
			if strings.Contains(w.Body.String(), "password") {
				t.Error(w.Body.String())
			}
			if len(s.sessions) > 0 {
				t.Error("a session is left")
			}
		})
	}
}
