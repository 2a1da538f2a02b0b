package httplive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/httpdoor"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/gate/mpegts", "/gate.flv", "/gate/live.flv", "/yard/left/mpegts", "/yard/left.flv", "/mpegts", "/.flv", "mpegts",
		"/../mpegts", "/gate//mpegts", "/gate/.flv", "/gate/mpegts/", "/live.flv", "/live/live.flv", "/GATE.flv",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, form, ok := parsePath(path)
		if ok != Serves(path) || !ok && (name != "" || form.protocol != "") {
			t.Fatalf("%q: %v, %q", path, ok, name)
		}
		if ok && (!httpdoor.IsStream(name) || !strings.HasPrefix(path, "/"+name)) {
			t.Errorf("%q gives %q", path, name)
		}
	})
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/gate/mpegts": "gate mpegts", "/yard/left/mpegts": "yard/left mpegts", "/gate.flv": "gate flv",
		"/yard/left.flv": "yard/left flv", "/gate/live.flv": "gate flv", "/live.flv": "live flv",
		"/live/live.flv":   "live flv",
		"/gate/index.m3u8": "", "/mpegts": "", "/gate/mpegts/": "",
	} {
		got := ""
		if name, form, ok := parsePath(path); ok {
			got = name + " " + form.protocol
		}
		if got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}

// ask sends a request and returns the answer, its body read unless it is 200.
func ask(t testing.TB, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode == http.StatusOK {
		return resp, ""
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// watchURL reads the body at url.
func watchURL(t testing.TB, url string, read func(io.Reader) error) error {
	t.Helper()
	resp, text := ask(t, http.MethodGet, url)
	if resp.StatusCode != http.StatusOK {
		return errors.New(text)
	}
	return read(resp.Body)
}

func TestWhatIsRefused(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.1: secret")
	mjpeg := []*media.Track{
		{Kind: media.KindVideo, Codec: media.CodecMJPEG}, {ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA},
	}
	h264 := []*media.Track{{Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{1}, PPS: []byte{1}}}
	for _, tc := range []struct {
		name, method, path string
		err                error
		tracks             []*media.Track
		status             int
		body               string
		header             [2]string
	}{
		{"unknown", "GET", "/nope/mpegts", nil, h264, 404, "no such stream", [2]string{"Cache-Control", "no-store"}},
		{"switched off", "GET", "/gate/mpegts", fmt.Errorf("x: %w", hub.ErrNotFound), h264, 404, "no such", [2]string{}},
		{"no form of ours", "GET", "/gate/x.flv/y", nil, h264, 404, "no such stream", [2]string{}},
		{"not logged in", "GET", "/gate.flv", hub.ErrDenied, h264, 401, "authentication", [2]string{
			"WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`,
		}},
		{"not allowed", "GET", "/gate.flv", hub.ErrForbidden, h264, 403, "not allowed", [2]string{}},
		{
			"the camera is off", "GET", "/gate.flv", fmt.Errorf("%w: %w", hub.ErrUnavailable, secret), h264, 503,
			"the camera delivers no picture",
			[2]string{"Retry-After", "2"},
		},
		{"anything else", "GET", "/gate/mpegts", secret, h264, 503, "the camera delivers no picture", [2]string{
			"Retry-After", "2",
		}},
		{"no key frame in time", "GET", "/gate/mpegts", nil, h264, 503, "the camera delivers no picture", [2]string{
			"Retry-After", "2",
		}},
		{"nothing that MPEG-TS carries", "GET", "/gate/mpegts", nil, mjpeg, 406, "cannot carry MJPEG and PCMA", [2]string{}},
		{"nothing that FLV carries", "HEAD", "/gate.flv", nil, mjpeg, 406, "", [2]string{}},
		{"preflight", "OPTIONS", "/gate/mpegts", nil, h264, 204, "", [2]string{
			"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS",
		}},
		{"write", "POST", "/gate.flv", nil, h264, 405, "method", [2]string{"Allow", "GET, HEAD, OPTIONS"}},
		{"long query", "GET", "/gate.flv?a=" + strings.Repeat("x", 2000), nil, h264, 414, "query", [2]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			stream := hub.NewStream("gate")
			stream.SetTracks(tc.tracks)
			s := newSite(t, Config{StartTimeout: 20 * time.Millisecond}, stream)
			s.err = tc.err
			resp, body := ask(t, tc.method, s.url+tc.path)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.body) || strings.Contains(body, "secret") {
				t.Errorf("got %s: %s", resp.Status, body)
			}
			if k := tc.header[0]; k != "" && resp.Header.Get(k) != tc.header[1] {
				t.Errorf("%s is %q", k, resp.Header.Get(k))
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("no page may read the answer")
			}
			s.until("nobody is left", func() bool { return s.handler.Stats().Viewers == 0 && stream.Units.Readers() == 0 })
			if len(s.reasons()) != len(s.opened) {
				t.Errorf("%d sessions of %d were closed", len(s.reasons()), len(s.opened))
			}
		})
	}
}

// TestUnknownAndDisabledLookTheSame is row O20.
func TestUnknownAndDisabledLookTheSame(t *testing.T) {
	s := newSite(t, Config{}, hub.NewStream("gate"))
	unknown, a := ask(t, "GET", s.url+"/nope/mpegts")
	s.err = hub.ErrNotFound
	disabled, b := ask(t, "GET", s.url+"/gate/mpegts")
	unknown.Header.Del("Date")
	disabled.Header.Del("Date")
	if a != b || fmt.Sprint(unknown.Header) != fmt.Sprint(disabled.Header) {
		t.Errorf("%v %q\n%v %q", unknown.Header, a, disabled.Header, b)
	}
}

func TestTheOpenerIsToldEverything(t *testing.T) {
	s, _ := clipSite(t, Config{StartTimeout: time.Millisecond}, mediatest.H264)
	ask(t, "GET", s.url+"/gate.flv?a=b", "Authorization", "Bearer t0ken", "User-Agent", "VLC/3.0.20 LibVLC/3.0.20")
	ask(t, "GET", s.url+"/gate/mpegts", "Authorization", "Basic YWxpY2U6cHc=")
	s.sessions(2)
	a, b := s.opened[0], s.opened[1]
	if a.Protocol != "flv" || a.Token != "t0ken" || a.Query.Get("a") != "b" || !strings.HasPrefix(a.UserAgent, "VLC") {
		t.Errorf("got %+v", a)
	}
	if b.Protocol != "mpegts" || b.User != "alice" || b.Password != "pw" || b.Remote == "" {
		t.Errorf("got %+v", b)
	}
}

// TestNoAnswerBeforeTheFirstPicture looks at the wire.
func TestNoAnswerBeforeTheFirstPicture(t *testing.T) {
	for _, tc := range []struct{ request, head, mime string }{
		{"GET /gate/mpegts HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\nIcy-MetaData: 1\r\n\r\n", "HTTP/1.1 200", "video/mp2t"},
		{"GET /gate.flv HTTP/1.0\r\n\r\n", "HTTP/1.0 200", "video/x-flv"},
		{"HEAD /gate/mpegts HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "video/mp2t"},
	} {
		t.Run(tc.request[:20], func(t *testing.T) {
			s, clip := clipSite(t, Config{}, mediatest.H264)
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tc.request); err != nil {
				t.Fatal(err)
			}
			s.until("the viewer waits", func() bool { return s.stream.Units.Readers() > 0 })
			r := bufio.NewReader(c)
			if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if b, err := r.Peek(1); err == nil {
				t.Fatalf("an answer before there is media: %q", b)
			}
			if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			s.stream.Units.Append(clip.Units(10)...)
			resp, err := http.ReadResponse(r, &http.Request{Method: strings.Fields(tc.request)[0]})
			if err != nil {
				t.Fatal(err)
			}
			h := resp.Header
			if !strings.HasPrefix(resp.Proto+" "+resp.Status, tc.head) || h.Get("Content-Type") != tc.mime ||
				h.Get("Cache-Control") != "no-store" || h.Get("Accept-Ranges") != "" {
				t.Errorf("got %s %s %v", resp.Proto, resp.Status, h)
			}
			chunked := slices.Equal(resp.TransferEncoding, []string{"chunked"})
			if chunked != strings.HasPrefix(tc.request, "GET /gate/mpegts") {
				t.Errorf("transfer encoding %v", resp.TransferEncoding)
			}
			s.stream.Close()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
			s.sessions(1)
		})
	}
}

func TestWhyASessionEnds(t *testing.T) {
	kicked := errors.New("terminated by an administrator")
	for _, tc := range []struct {
		name string
		end  func(s *site, leave func())
		want error
	}{
		{"the viewer leaves", func(_ *site, leave func()) { leave() }, media.ErrPeerClosed},
		{"the stream ends", func(s *site, _ func()) { s.stream.Close() }, hub.ErrEnded},
		{"it is sent away while it takes nothing", func(s *site, _ func()) {
			for i := range 100_000 { // more than the kernel takes
				s.stream.Units.Append(s.clip.Unit(i))
			}
			s.kick[0](kicked)
		}, kicked},
		{"it is sent away", func(s *site, _ func()) { s.kick[0](kicked) }, kicked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, clip := clipSite(t, Config{}, mediatest.H264AAC)
			s.stream.Units.Append(clip.Units(10)...)
			resp, _ := ask(t, "GET", s.url+"/gate/mpegts")
			s.until("something was sent", func() bool { return s.begun() == 1 })
			tc.end(s, func() { resp.Body.Close() })
			if err := s.sessions(1)[0]; !errors.Is(err, tc.want) {
				t.Errorf("ended with %v", err)
			}
			s.until("nobody is left", func() bool { return s.handler.Stats().Viewers == 0 && s.stream.Units.Readers() == 0 })
		})
	}
}

// TestWhatAViewerDoesNotGetIsTold: also that not every player knows the picture.
func TestWhatAViewerDoesNotGetIsTold(t *testing.T) {
	video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH265, VPS: []byte{1}, SPS: []byte{1}, PPS: []byte{1}}
	h264 := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{1}, PPS: []byte{1}}
	opus := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 2, ClockRate: 48000}
	pcma := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA, Channels: 1, ClockRate: 8000}
	for _, tc := range []struct {
		path   string
		tracks []*media.Track
		want   string
	}{
		{"/gate.flv", []*media.Track{video}, flv.EnhancedNote},
		{
			"/gate.flv",
			[]*media.Track{h264, opus},
			"Opus needs Enhanced RTMP, which the other side does not offer, so it is left out",
		},
		{"/gate.flv", []*media.Track{h264}, ""},
		{"/gate/mpegts", []*media.Track{h264, pcma}, "PCMA left out: MPEG-TS cannot carry it"},
		{"/gate/mpegts", []*media.Track{video, opus}, ""},
	} {
		stream := hub.NewStream("gate")
		stream.SetTracks(tc.tracks)
		s := newSite(t, Config{}, stream)
		stream.Units.Append(&media.Unit{Track: tc.tracks[0], Key: true, Data: [][]byte{{0x26, 1, 2}}})
		resp, body := ask(t, http.MethodHead, s.url+tc.path)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", tc.path, resp.Status, body)
		}
		if got := strings.Join(s.sessionsNoted(), ""); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.path, got, tc.want)
		}
	}
}

// sessionsNoted returns what was noted of sessions.
func (d *door) sessionsNoted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.notes
}
