package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"camrelay/media/testcam"
)

// The camera of TestFirstPicture: an IDR each 4 s.
const (
	firstHeight, firstWidth = 360, 640
	firstInterval           = 40 * time.Millisecond
	firstGOP                = 100
)

// TestFirstPicture joins at random moments of a 4-second group of pictures and
// logs how long the first picture takes and how old the newest one is two
// seconds later, beside the camera itself and a still file, which costs the
// same start-up.
func TestFirstPicture(t *testing.T) {
	camera := startTestcam(t, testcam.Camera{Path: "gop4", Height: firstHeight, GOP: firstGOP})
	b := startBox(t, oneCamera(camera))
	b.awaitActive("gate")
	still := filepath.Join(t.TempDir(), "still.mp4")
	if _, errs, err := tool(t, time.Minute, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25",
		"-frames:v", "5", "-pix_fmt", "yuv420p", still); err != nil {
		t.Fatal(errs)
	}
	players := []*firstPlayer{
		{name: "ffmpeg, relay", live: true, cmd: ffmpegRaw("-rtsp_transport", "tcp", "-i", b.rtsp("gate"))},
		{name: "ffmpeg, still file", cmd: ffmpegRaw("-i", still)},
		{name: "ffmpeg, camera", live: true, cmd: ffmpegRaw("-rtsp_transport", "tcp", "-i", camera)},
		{name: "GStreamer, relay", live: true, cmd: gstRaw(gstRTSP(b.rtsp("gate"))...)},
		{name: "GStreamer, still file", cmd: gstRaw("filesrc", "location="+still, "!", "qtdemux", "!", "h264parse")},
		{name: "GStreamer, camera", live: true, torn: true, cmd: gstRaw(gstRTSP(camera)...)},
	}
	rnd := rand.New(rand.NewPCG(2, 3))
	tries := 1
	if soaking() {
		tries = 20
	}
	var segment []time.Duration
	for range tries {
		for _, p := range players {
			waitFor(t, time.Duration(rnd.IntN(4000))*time.Millisecond)
			p.play(t)
		}
		segment = append(segment, b.firstSegment("gate"))
	}
	for _, p := range players {
		t.Logf("%s: first picture %s", p.name, spread(p.first))
		if p.live {
			t.Logf("%s: behind live after 2 s: %s", p.name, spread(p.behind))
		}
	}
	t.Logf("HLS: multivariant and media playlist, init and newest segment in %s", spread(segment))
}

// spread describes times by their least, median and greatest.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("%v median, %v to %v (%d)", all[len(all)/2], all[0], all[len(all)-1], len(all))
}

var uris = regexp.MustCompile(`(?m)URI="([^"]*\.mp4)"|^([^#\s]+)$`)

// firstSegment loads what a player needs to begin, over a new connection, and
// returns how long that takes.
func (b *box) firstSegment(camera string) time.Duration {
	b.t.Helper()
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(name string) string {
		res, err := client.Get(b.http(camera + "/" + name))
		if err != nil {
			b.t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			b.t.Fatalf("%s: %s, %d bytes, %v", name, res.Status, len(body), err)
		}
		return string(body)
	}
	began := time.Now()
	get("index.m3u8")
	all := uris.FindAllStringSubmatch(get("hls.m3u8"), -1)
	get(all[0][1])
	get(all[len(all)-1][2])
	return time.Since(began).Round(100 * time.Microsecond)
}

// startTestcam runs a synthetic camera in this process and returns its address.
func startTestcam(t *testing.T, camera testcam.Camera) string {
	t.Helper()
	srv := testcam.New(testcam.Config{Listen: "127.0.0.1:0", Cameras: []testcam.Camera{camera}},
		slog.New(slog.DiscardHandler))
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return srv.URL(camera.Path)
}

// firstPlayer is one way to see pictures, and what came of it.
type firstPlayer struct {
	name   string
	live   bool
	torn   bool // GStreamer shows what it makes of a GOP whose key frame it has missed
	cmd    []string
	first  []time.Duration // from the start of the program to its first picture
	behind []time.Duration // age of the newest picture, 2 s after the start
}

func ffmpegRaw(input ...string) []string {
	return append(append([]string{"ffmpeg", "-nostdin", "-v", "error"}, input...),
		"-an", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
}

func gstRaw(source ...string) []string {
	return append(append([]string{"gst-launch-1.0", "-q"}, source...), "!", "avdec_h264", "!", "videoconvert", "!",
		"video/x-raw,format=GRAY8", "!", "fdsink", "sync=false", "fd=1")
}

func gstRTSP(url string) []string {
	return []string{"rtspsrc", "protocols=tcp", "latency=0", "location=" + url, "!", "rtph264depay"}
}

// play starts the program and reads its pictures, those of a live one until
// the third second.
func (p *firstPlayer) play(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.cmd[0], p.cmd[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		cmd.Wait()
	}()
	pictures := bufio.NewReaderSize(out, firstWidth*firstHeight)
	luma := make([]byte, firstWidth*firstHeight)
	for seen := false; !seen || p.live && time.Since(began) < 3*time.Second; {
		if _, err := io.ReadFull(pictures, luma); err != nil {
			t.Fatalf("%s: %v after %v", p.name, err, time.Since(began))
		}
		now := time.Now()
		n, ok := testcam.ReadNumber(luma, firstWidth, firstHeight)
		switch {
		case p.live && !ok && p.torn:
			continue
		case p.live && !ok:
			t.Fatalf("%s: a picture without a number", p.name)
		case !seen:
			p.first = append(p.first, now.Sub(began).Round(time.Millisecond))
		}
		seen = true
		if p.live && now.Sub(began) > 2*time.Second {
			p.behind = append(p.behind, age(n, now).Round(time.Millisecond))
		}
	}
}

// age returns how long ago picture n was due.
func age(n uint32, now time.Time) time.Duration {
	sinceEpoch := time.Duration(now.UnixNano())
	newest := uint32(sinceEpoch / firstInterval)
	return time.Duration(int32(newest-n))*firstInterval + sinceEpoch%firstInterval
}
