package still

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// TestOneFetchForAll asks at once with many and then again: the camera is asked
// once.
func TestOneFetchForAll(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	picture := jpegOf(t, 32)
	let := make(chan struct{})
	var fetches atomic.Int32
	camera := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		<-let
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write(picture)
	}))
	defer camera.Close()
	source := Source{URL: camera.URL + "/snap"}
	s := newSite(t, Config{Source: func(string) Source { return source }}, clip.Tracks)
	var askers sync.WaitGroup
	for range 20 {
		askers.Go(func() {
			if resp, b := s.ask("GET", "/gate/snapshot.jpg"); resp.StatusCode != http.StatusOK || !bytes.Equal(b, picture) {
				t.Errorf("got %s, %d bytes", resp.Status, len(b))
			}
		})
	}
	for begun := 0; begun < 20; { // the first holds the fetch, all others wait for it
		s.mu.Lock()
		begun = len(s.opened)
		s.mu.Unlock()
	}
	close(let)
	askers.Wait()
	resp, _ := s.ask("HEAD", "/gate/snapshot.jpg")
	h := resp.Header
	if h.Get("Content-Type") != "image/jpeg" || h.Get("Age") == "" || h.Get("Cache-Control") != "private, max-age=10" ||
		resp.ContentLength != int64(len(picture)) || h.Get("ETag") == "" {
		t.Errorf("got %v", h)
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("the camera was asked %d times", n)
	}
	s.handler.jpegs.items["gate"].settled = time.Now().Add(-11 * time.Second)
	s.handler.jpegs.items["gate"].pic.made = time.Now().Add(-11 * time.Second)
	resp, _ = s.ask("GET", "/gate/snapshot.jpg")
	if n := fetches.Load(); n != 2 || resp.Header.Get("Age") != "0" {
		t.Errorf("after 11 s the camera was asked %d times, age %s", n, resp.Header.Get("Age"))
	}
	source.URL += "?other"
	if s.ask("GET", "/gate/snapshot.jpg"); fetches.Load() != 3 {
		t.Error("a new address is not asked")
	}
}

// TestTheFirstAskerMayLeave while others wait for what it has begun.
func TestTheFirstAskerMayLeave(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	asked, let := make(chan struct{}, 2), make(chan struct{})
	camera := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-let
		w.Header().Set("Content-Type", "image/jpeg")
		w.Write([]byte{0xff, 0xd8, 0xff, 0xd9})
	}))
	defer camera.Close()
	s := newSite(t, Config{Source: func(string) Source { return Source{URL: camera.URL} }}, clip.Tracks)
	ctx, leave := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/gate/snapshot.jpg", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	})
	<-asked
	leave()
	first.Wait()
	close(let)
	if resp, _ := s.ask("GET", "/gate/snapshot.jpg"); resp.StatusCode != http.StatusOK || len(asked) > 0 {
		t.Errorf("got %s, the camera was asked %d times more", resp.Status, len(asked))
	}
}

// TestAFailureIsToldForAWhile, and logged once.
func TestAFailureIsToldForAWhile(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	c := &cam{picture: jpegOf(t, 16), scheme: "Digest"}
	camera := httptest.NewServer(c)
	defer camera.Close()
	source := Source{URL: camera.URL + "/snap?key=hunter2", Username: camUser, Password: "hunter2"}
	s := newSite(t, Config{Source: func(string) Source { return source }}, clip.Tracks)
	for range 3 {
		resp, b := s.ask("GET", "/gate/snapshot.jpg")
		h := resp.Header
		if resp.StatusCode != http.StatusServiceUnavailable || h.Get("Retry-After") != "60" ||
			h.Get("Cache-Control") != "no-store" || !strings.Contains(string(b), "refuses the user name or the password") {
			t.Errorf("got %s %s", resp.Status, b)
		}
	}
	if asks := c.asked(); len(asks) != 2 {
		t.Errorf("the camera was asked %q", asks)
	}
	if text := s.logged.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "hunter2") {
		t.Errorf("logged %s", text)
	}
	source.Password = camPassword // the file was edited
	if resp, _ := s.ask("GET", "/gate/snapshot.jpg"); resp.StatusCode != http.StatusOK {
		t.Errorf("with the right password: %s", resp.Status)
	}
	if !strings.Contains(s.logged.String(), "gives its JPEG again") {
		t.Errorf("logged %s", s.logged)
	}
}

func TestMJPEGTracks(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	track := &media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG, ClockRate: 90000, PayloadType: 26}
	feed := func(s *hub.Stream) { feedJPEG(t, s, track) }
	t.Run("its own", func(t *testing.T) {
		s := newSite(t, Config{}, []*media.Track{track})
		feed(s.stream)
		resp, b := s.ask("GET", "/gate/snapshot.jpg")
		checkJPEG(t, resp, b, 48)
	})
	t.Run("that of the sub stream", func(t *testing.T) {
		sub := hub.NewStream("gate_sub")
		defer sub.Close()
		sub.SetTracks([]*media.Track{track})
		feed(sub)
		released := 0
		cfg := Config{
			Source: func(string) Source { return Source{MJPEG: "gate_sub"} },
			Claim: func(_ context.Context, name string) (*hub.Stream, func(), error) {
				if name != "gate_sub" {
					return nil, nil, hub.ErrNotFound
				}
				return sub, func() { released++ }, nil
			},
		}
		s := newSite(t, cfg, clip.Tracks)
		for range 2 {
			resp, b := s.ask("GET", "/gate/snapshot.jpg")
			checkJPEG(t, resp, b, 48)
		}
		if released != 1 || sub.Packets.Readers() != 0 {
			t.Errorf("released %d times, %d readers", released, sub.Packets.Readers())
		}
	})
	t.Run("the sub stream has none", func(t *testing.T) {
		sub := hub.NewStream("gate_sub")
		defer sub.Close()
		sub.SetTracks(clip.Tracks)
		s := newSite(t, Config{
			Source: func(string) Source { return Source{MJPEG: "gate_sub"} },
			Claim:  func(context.Context, string) (*hub.Stream, func(), error) { return sub, func() {}, nil },
		}, clip.Tracks)
		resp, b := s.ask("GET", "/gate/snapshot.jpg")
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(string(b), "no JPEG") {
			t.Errorf("got %s %s", resp.Status, b)
		}
	})
	t.Run("it cannot be read", func(t *testing.T) {
		s := newSite(t, Config{FrameTimeout: time.Second}, []*media.Track{track})
		wire := media.AppendWire(nil, 0, append(make([]byte, 12), 1, 2, 3))
		wire[4] = 0x80
		s.stream.Packets.Append(media.Packets{Track: track, Wire: wire, N: 1, Key: true, Wall: time.Now()})
		resp, b := s.ask("GET", "/gate/snapshot.jpg")
		if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(b), "cannot be read") {
			t.Errorf("got %s %s", resp.Status, b)
		}
	})
}

// feedJPEG publishes three pictures that are 48 pixels wide.
func feedJPEG(t *testing.T, s *hub.Stream, track *media.Track) {
	t.Helper()
	picture := jpegOf(t, 48)
	for i := range uint32(3) {
		s.Packets.Append(mediatest.JPEGPackets(t, track, picture, i*3000)...)
	}
}

func checkJPEG(t *testing.T, resp *http.Response, b []byte, width int) {
	t.Helper()
	cfg, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil || cfg.Width != width || resp.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("got %s %v, %d pixels wide, %v", resp.Status, resp.Header, cfg.Width, err)
	}
}

const page = `<video muted autoplay src="/gate/keyframe.mp4"></video><script>
const v = document.querySelector("video"), tell = (o) => fetch("/told?" + new URLSearchParams(o));
v.onerror = () => tell({error: v.error.message});
const c = document.createElement("canvas"), g = c.getContext("2d", {willReadFrequently: true});
const draw = () => { // the element has its data before it has its first picture
	[c.width, c.height] = [v.videoWidth, v.videoHeight];
	g.drawImage(v, 0, 0);
	const colours = new Set(new Uint32Array(g.getImageData(0, 0, c.width, c.height).data.buffer));
	if (colours.size === 1) return setTimeout(draw, 50);
	tell({size: c.width + "x" + c.height, duration: v.duration, colours: colours.size});
};
v.onloadeddata = draw;
</script>`

// TestChromiumShowsKeyframes lets a page draw what its video element shows.
func TestChromiumShowsKeyframes(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264B)
	s := newSite(t, Config{}, clip.Tracks)
	s.play(clip, mediatest.NewPacketizer(t, clip.Tracks), clip.Units(100))
	told := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.Handle("/", s.handler)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	mux.HandleFunc("/told", func(_ http.ResponseWriter, r *http.Request) { told <- r.URL.Query() })
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	profile := t.TempDir()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir="+profile, "--remote-debugging-port=0", server.URL+"/page")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("chromium is missing: %v", err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed
		for end := time.Now().Add(10 * time.Second); os.RemoveAll(profile) != nil && time.Now().Before(end); {
			runtime.Gosched() // its children write for a moment longer
		}
	}()
	select {
	case got := <-told:
		want := fmt.Sprintf("%dx%d", clip.Video().Width, clip.Video().Height)
		var colours int
		if _, err := fmt.Sscan(got.Get("colours"), &colours); err != nil || colours < 100 || got.Get("size") != want ||
			!slices.Contains([]string{"1", "1.0"}, got.Get("duration")) {
			t.Errorf("Chromium shows %v", got)
		}
	case <-ctx.Done():
		t.Error("Chromium shows nothing")
	}
}
