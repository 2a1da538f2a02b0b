package hls

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
)

var hint = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:.*\n`)

// serveEnded serves the rig over HTTP with playlists that have ended, so that
// players play all of it and stop. It returns the URL of its directory.
func serveEnded(t *testing.T, r *rig) string { return serveHeld(t, r, nil) }

// serveHeld is serveEnded with an end that waits, unless it is nil.
func serveHeld(t *testing.T, r *rig, end *shown) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if path := req.URL.Path; isPlaylist(path[len("/gate/"):]) && !strings.HasSuffix(path, multivariantName) {
			w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
			text := append(hint.ReplaceAll(r.body(path), nil), "#EXT-X-ENDLIST\n"...)
			w.Write(text) // a player may leave
			return
		}
		if end != nil && strings.HasSuffix(req.URL.Path, "/"+end.name) {
			<-end.c
		}
		told := &status{ResponseWriter: w, code: http.StatusOK}
		if r.server.ServeHTTP(told, req); told.code >= http.StatusBadRequest {
			t.Errorf("%s: %d", req.URL, told.code)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/gate/"
}

// status remembers what a response begins with.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// shown is the end of a playlist that is held back until a player shows something.
type shown struct {
	name string // of the last segment
	once sync.Once
	c    chan struct{} // closed when something is shown
}

func (s *shown) now() { s.once.Do(func() { close(s.c) }) }

// pack packages the first 8 s of a clip from its first key frame on, and ends
// the last segment.
func pack(t *testing.T, kind mediatest.Kind) (*rig, []*media.Unit) {
	t.Helper()
	clip := mediatest.MakeClip(t, kind)
	cfg := settings()
	cfg.Window = time.Minute
	r := newRig(t, cfg, clip.Tracks)
	units := clip.Until(8 * time.Second)
	r.feed(units...)
	r.pack.stop()
	return r, units
}

// of returns the units of one kind that are shown: audio from the first
// picture on.
func of(units []*media.Unit, kind media.Kind) (out []*media.Unit) {
	var origin time.Duration
	for _, u := range units {
		if u.Track.Kind == media.KindVideo {
			origin = u.PTS
			break
		}
	}
	for _, u := range units {
		if u.Track.Kind == kind && u.PTS >= origin {
			out = append(out, u)
		}
	}
	return out
}

// played returns the clips that players must play.
func played() []mediatest.Kind {
	return append(mediatest.Kinds(), mediatest.AAC, mediatest.H265B, mediatest.H264BOnly)
}

func TestFFmpegPlays(t *testing.T) {
	for _, kind := range played() {
		t.Run(string(kind), func(t *testing.T) {
			r, units := pack(t, kind)
			dir := serveEnded(t, r)
			mediatest.Decodes(t, dir+plainPlaylist)
			url := dir + multivariantName
			mediatest.Decodes(t, url)
			probed := mediatest.Probe(t, url)
			offsets := map[media.Kind]time.Duration{}
			for _, k := range []media.Kind{media.KindVideo, media.KindAudio} {
				want := of(units, k)
				if len(want) == 0 {
					continue
				}
				got := probed.Times(t, k.String())
				// Audio that came after the last picture of the last part is not shown.
				if missing := len(want) - len(got); missing < 0 || missing > 3 || k == media.KindVideo && missing > 0 {
					t.Fatalf("%d of %d frames of %s", len(got), len(want), k)
				}
				offsets[k] = got[0] - want[0].PTS
				for i := range got {
					if d := got[i] - want[i].PTS - offsets[k]; d.Abs() > 30*time.Microsecond {
						t.Fatalf("frame %d of %s is %v off", i, k, d)
					}
				}
			}
			if v, ok := offsets[media.KindVideo]; ok {
				if a, ok := offsets[media.KindAudio]; ok && (a-v).Abs() > time.Millisecond {
					t.Errorf("audio is %v off the picture", a-v)
				}
			}
		})
	}
}

func TestGStreamerPlays(t *testing.T) {
	for _, kind := range played() {
		t.Run(string(kind), func(t *testing.T) {
			r, units := pack(t, kind)
			for _, k := range []media.Kind{media.KindVideo, media.KindAudio} {
				want := len(of(units, k))
				if want == 0 {
					continue
				}
				got := gstFrames(t, r, multivariantName, k)
				if k == media.KindVideo && got != want {
					t.Errorf("%d of %d pictures", got, want)
				}
				if got == 0 {
					t.Errorf("no %s", k)
				}
			}
		})
	}
}

// gstFrames plays r to its end with GStreamer and returns how many decoded
// buffers of a kind come out. A stream that is loaded to its end before anything
// is shown of it is an error for GStreamer 1.22, so the last segment waits.
func gstFrames(t *testing.T, r *rig, playlist string, kind media.Kind) int {
	t.Helper()
	end := &shown{name: r.muxer.segments[len(r.muxer.segments)-1].name, c: make(chan struct{})}
	url := serveHeld(t, r, end) + playlist
	caps := map[media.Kind]string{media.KindVideo: "video/x-raw", media.KindAudio: "audio/x-raw"}[kind]
	cmd := exec.CommandContext(t.Context(), "gst-launch-1.0", "-v", "--no-position",
		"uridecodebin3", "uri="+url, "caps="+caps, "name=d", "d.", "!", caps, "!",
		"identity", "silent=false", "!", "fakesink", "sync=false")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems strings.Builder
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer end.now()
	frames := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "last-message = chain   *******") {
			frames++
			end.now()
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("gst-launch-1.0: %v after %d frames\n%s", err, frames, &problems)
	}
	return frames
}

// TestPlayersCrossDiscontinuities plays a camera that came back twice, once
// with another picture.
func TestPlayersCrossDiscontinuities(t *testing.T) {
	small := mediatest.MakeClip(t, mediatest.H264AAC)
	large := mediatest.MakeClip(t, mediatest.H264Large)
	cfg := settings()
	cfg.Window = time.Minute
	r := newRig(t, cfg, small.Tracks)
	want := 0
	for i, clip := range []*mediatest.Clip{small, small, large} {
		units := clip.Until(3 * time.Second)
		want += len(of(units, media.KindVideo))
		r.feed(shift(units, time.Duration(i)*20*time.Second)...)
	}
	r.pack.stop()
	url := serveEnded(t, r) + multivariantName
	if got := len(mediatest.Probe(t, url).Times(t, "video")); got != want {
		t.Errorf("ffprobe sees %d of %d pictures", got, want)
	}
	if got := gstFrames(t, r, multivariantName, media.KindVideo); got != want {
		t.Errorf("GStreamer shows %d of %d pictures", got, want)
	}
}
