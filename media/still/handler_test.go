package still

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// site is a Handler behind a real server, whose Opener knows the stream "gate".
type site struct {
	t       *testing.T
	stream  *hub.Stream
	handler *Handler
	url     string
	err     error  // what everybody gets instead
	start   func() // the camera, when it is opened
	logged  *bytes.Buffer

	mu     sync.Mutex // guards what follows
	opened []hub.Request
	sent   uint64
	closed []error
}

func newSite(t *testing.T, cfg Config, tracks []*media.Track) *site {
	t.Helper()
	s := &site{t: t, stream: hub.NewStream("gate"), start: func() {}, logged: new(bytes.Buffer)}
	s.stream.SetTracks(slices.Clone(tracks))
	s.handler = New(cfg, s.open, slog.New(slog.NewTextHandler(s.logged, nil)))
	server := httptest.NewServer(s.handler)
	s.url = server.URL
	t.Cleanup(func() { s.stream.Close(); server.Close() })
	return s
}

func (s *site) open(_ context.Context, req hub.Request) (*hub.Subscription, error) {
	switch {
	case req.Path != "gate":
		return nil, hub.ErrNotFound
	case s.err != nil:
		return nil, s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	s.opened = append(s.opened, req)
	ctx, cancel := context.WithCancelCause(context.Background())
	sub := &hub.Subscription{Stream: s.stream, Context: ctx}
	sub.Close = func(reason error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = append(s.closed, reason)
		s.sent += sub.Sent.Load()
		cancel(reason)
	}
	return sub, nil
}

// ended returns why sessions were closed, once all are.
func (s *site) ended() []error {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		opened, closed := len(s.opened), slices.Clone(s.closed)
		s.mu.Unlock()
		if opened == len(closed) {
			return closed
		}
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatal("a session is still open")
		}
	}
}

// ask sends a request and returns the answer.
func (s *site) ask(method, path string, header ...string) (*http.Response, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, b
}

// play publishes units of a clip.
func (s *site) play(clip *mediatest.Clip, pack *mediatest.Packetizer, units []*media.Unit) {
	s.t.Helper()
	for _, u := range units {
		p, err := pack.Packets(u)
		if err != nil {
			s.t.Fatal(err)
		}
		p.Wall = time.Now()
		s.stream.Packets.Append(p)
	}
}

func TestKeyframe(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.H265AAC, mediatest.H265B} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			pack := mediatest.NewPacketizer(t, clip.Tracks)
			s := newSite(t, Config{}, clip.Tracks)
			s.play(clip, pack, clip.Units(150))
			resp, first := s.ask("GET", "/gate/keyframe.mp4")
			h := resp.Header
			if resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "video/mp4" ||
				h.Get("Cache-Control") != "no-cache" || h.Get("ETag") == "" || h.Get("Last-Modified") == "" ||
				h.Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("got %s %v", resp.Status, h)
			}
			name := filepath.Join(t.TempDir(), "keyframe.mp4")
			if err := os.WriteFile(name, first, 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, name)
			if p := mediatest.Probe(t, name); len(p.Packets) != 1 || !p.Packets[0].Key() {
				t.Errorf("ffprobe sees %d packets", len(p.Packets))
			}
			made := s.handler.frames.items["gate"].pic
			resp, b := s.ask("GET", "/gate/keyframe.mp4")
			if !bytes.Equal(b, first) || s.handler.frames.items["gate"].pic != made {
				t.Errorf("it is made again: %s", resp.Status)
			}
			resp, _ = s.ask("GET", "/gate/keyframe.mp4", "If-None-Match", h.Get("ETag"))
			if resp.StatusCode != http.StatusNotModified {
				t.Errorf("who has it gets %s", resp.Status)
			}
			if resp, b := s.ask("HEAD", "/gate/keyframe.mp4"); resp.ContentLength != int64(len(first)) || len(b) > 0 {
				t.Errorf("HEAD gets %d of %d bytes", resp.ContentLength, len(first))
			}
			resp, b = s.ask("GET", "/gate/keyframe.mp4", "Range", "bytes=4-7")
			if resp.StatusCode != http.StatusPartialContent || string(b) != "ftyp" {
				t.Errorf("a range gets %s %q", resp.Status, b)
			}
			s.play(clip, pack, clip.Units(250)[150:]) // over the next key frame
			if resp, b := s.ask("GET", "/gate/keyframe.mp4"); bytes.Equal(b, first) || resp.Header.Get("ETag") == h.Get("ETag") {
				t.Error("the next key frame is not shown")
			}
			for _, err := range s.ended() {
				if !errors.Is(err, media.ErrClosedHere) {
					t.Errorf("a session ended with %v", err)
				}
			}
			if s.opened[0].Protocol != "still" || s.sent < uint64(2*len(first)) || s.stream.Packets.Readers() != 0 {
				t.Errorf("%+v, %d bytes, %d readers", s.opened[0], s.sent, s.stream.Packets.Readers())
			}
		})
	}
}

// TestACameraThatIsStartedByARequest delivers only once it was opened.
func TestACameraThatIsStartedByARequest(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	s := newSite(t, Config{}, clip.Tracks)
	var camera sync.WaitGroup
	s.start = func() {
		camera.Go(func() { s.play(clip, mediatest.NewPacketizer(t, clip.Tracks), clip.Units(100)) })
		s.start = func() {}
	}
	if resp, b := s.ask("GET", "/gate/keyframe.mp4"); resp.StatusCode != http.StatusOK || len(b) < 1000 {
		t.Errorf("got %s, %d bytes", resp.Status, len(b))
	}
	camera.Wait()
}

func TestWhatIsRefused(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.1: secret")
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	mjpeg := []*media.Track{{Kind: media.KindVideo, Codec: media.CodecMJPEG}}
	for _, tc := range []struct {
		name, method, path string
		err                error
		tracks             []*media.Track
		status             int
		body               string
		header             [2]string
	}{
		{"unknown", "GET", "/nope/snapshot.jpg", nil, nil, 404, "no such stream", [2]string{"Cache-Control", "no-store"}},
		{"off", "GET", "/gate/keyframe.mp4", hub.ErrNotFound, nil, 404, "no such stream", [2]string{}},
		{"another file", "GET", "/gate/x.jpg", nil, nil, 404, "no such stream", [2]string{}},
		{"not logged in", "GET", "/gate/snapshot.jpg", hub.ErrDenied, nil, 401, "authentication", [2]string{
			"WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`,
		}},
		{"not allowed", "GET", "/gate/snapshot.jpg", hub.ErrForbidden, nil, 403, "not allowed", [2]string{}},
		{
			"the camera is off", "GET", "/gate/keyframe.mp4", fmt.Errorf("%w: %w", hub.ErrUnavailable, secret), nil, 503,
			"the camera delivers no picture",
			[2]string{"Retry-After", "2"},
		},
		{
			"no key frame in time", "GET", "/gate/keyframe.mp4", nil, clip.Tracks, 503, "delivers no picture",
			[2]string{"Retry-After", "2"},
		},
		{"only sound", "GET", "/gate/keyframe.mp4", nil, clip.Tracks[1:], 404, "the camera has no video", [2]string{}},
		{"motion JPEG", "GET", "/gate/keyframe.mp4", nil, mjpeg, 404, "MP4 cannot carry MJPEG", [2]string{}},
		{"no JPEG", "GET", "/gate/snapshot.jpg", nil, clip.Tracks, 404, "no JPEG of its own", [2]string{}},
		{"preflight", "OPTIONS", "/gate/snapshot.jpg", nil, nil, 204, "", [2]string{
			"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS",
		}},
		{"write", "PUT", "/gate/snapshot.jpg", nil, nil, 405, "method", [2]string{"Allow", "GET, HEAD, OPTIONS"}},
		{"long query", "GET", "/gate/snapshot.jpg?a=" + strings.Repeat("x", 2000), nil, nil, 414, "query", [2]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, Config{FrameTimeout: 20 * time.Millisecond}, tc.tracks)
			s.err = tc.err
			resp, b := s.ask(tc.method, tc.path)
			body := string(b)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.body) || strings.Contains(body, "secret") {
				t.Errorf("got %s: %s", resp.Status, body)
			}
			if k := tc.header[0]; k != "" && resp.Header.Get(k) != tc.header[1] {
				t.Errorf("%s is %q", k, resp.Header.Get(k))
			}
			s.ended()
		})
	}
}

func TestLimits(t *testing.T) {
	for name, cfg := range map[string]Config{"in all": {Requests: 2}, "from one address": {PerAddr: 2}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, cfg, nil)
			var leaves []func()
			for range 2 {
				leave, err := s.handler.places.Take(netip.MustParseAddr("10.0.0.1"))
				if err != nil {
					t.Fatal(err)
				}
				leaves = append(leaves, leave)
			}
			r := httptest.NewRequest(http.MethodGet, "/gate/snapshot.jpg", nil)
			r.RemoteAddr = "10.0.0.1:2"
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "too many viewers") {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			for _, leave := range leaves {
				leave()
			}
			w = httptest.NewRecorder()
			if s.handler.ServeHTTP(w, r); w.Code != 404 || s.handler.places.Taken() > 0 {
				t.Errorf("got %d after all have left", w.Code)
			}
		})
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/gate/keyframe.mp4", "/gate/snapshot.jpg", "/yard/left/snapshot.jpg", "/snapshot.jpg", "/../snapshot.jpg",
		"/gate//snapshot.jpg", "/gate/snapshot.jpg/", "gate/snapshot.jpg", "/GATE/snapshot.jpg",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, file, ok := parsePath(path)
		if ok != Serves(path) || ok && (path != "/"+name+"/"+file || !httpdoor.IsStream(name)) {
			t.Fatalf("%q: %v, %q, %q", path, ok, name, file)
		}
	})
}
