package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// oneCamera is the configuration of one camera that anybody may watch.
func oneCamera(url string) string {
	return fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  gate: {url: \"%s\"}\n", url)
}

// TestViewersPlay lets GStreamer and ffmpeg play each output for a moment.
func TestViewersPlay(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	rest := strings.TrimPrefix(b.rtsp("gate"), "rtsp")
	for name, url := range map[string]string{"tcp": "rtspt" + rest, "udp": "rtspu" + rest} {
		t.Run("GStreamer RTSP "+name, func(t *testing.T) {
			out, errs, err := tool(t, 60*time.Second, "gst-launch-1.0", "-q", "rtspsrc", "location="+url, "!",
				"rtph264depay", "!", "avdec_h264", "!", "video/x-raw", "!", "identity", "eos-after=60", "!",
				"fakesink", "sync=false")
			if err != nil {
				t.Errorf("%v\n%s\n%s", err, out, errs)
			}
		})
	}
	t.Run("GStreamer HLS", func(t *testing.T) {
		out, errs, err := tool(t, 60*time.Second, "gst-launch-1.0", "-q", "playbin3",
			"uri="+b.http("gate/index.m3u8"), "flags=video",
			"video-sink=identity eos-after=60 ! fakesink sync=false")
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, out, errs)
		}
	})
	for _, transport := range []string{"tcp", "udp"} {
		t.Run("ffmpeg RTSP "+transport, func(t *testing.T) {
			n := decode(t, 60*time.Second, "-rtsp_transport", transport, "-i", b.rtsp("gate"), "-frames:v", "60")
			if n < 60 {
				t.Errorf("%d pictures, want 60", n)
			}
		})
	}
	t.Run("ffmpeg HLS", func(t *testing.T) {
		if n := decode(t, 60*time.Second, "-i", b.http("gate/index.m3u8"), "-frames:v", "60"); n < 60 {
			t.Errorf("%d pictures, want 60", n)
		}
	})
}

// TestUnknownPathIsRefusedAtOnce asks for a camera that does not exist.
func TestUnknownPathIsRefusedAtOnce(t *testing.T) {
	b := startBox(t, "version: 1\naccess: {view: open}\n")
	checkRefused(t, b.rtsp("nope"), "404")
	checkRefused(t, b.http("nope/index.m3u8"), "404")
}

// checkRefused fails unless ffprobe is refused with the status code.
func checkRefused(t *testing.T, url, code string) {
	t.Helper()
	if _, errs, err := tool(t, 20*time.Second, "ffprobe", url); err == nil || !strings.Contains(errs, code) {
		t.Errorf("%s: %v\n%s, want %s", url, err, errs, code)
	}
}

// TestClosedAccess lets nobody in.
func TestClosedAccess(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, fmt.Sprintf("version: 1\ncameras:\n  gate: {url: \"%s\"}\n", cams.url("/h264")))
	b.awaitActive("gate")
	checkRefused(t, b.rtsp("gate"), "401")
	checkRefused(t, b.http("gate/index.m3u8"), "401")
}

// TestFirstPicture joins at random moments of a 4-second group of pictures
// and logs how long the first picture takes, beside a still file that costs
// the same start-up.
func TestFirstPicture(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/gop4")))
	b.awaitActive("gate")
	still := filepath.Join(t.TempDir(), "still.mp4")
	if _, errs, err := tool(t, time.Minute, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=25",
		"-frames:v", "5", "-pix_fmt", "yuv420p", still); err != nil {
		t.Fatal(errs)
	}
	var relay, file []time.Duration
	rnd := rand.New(rand.NewPCG(2, 3))
	tries := 3
	if soaking() {
		tries = 20
	}
	for range tries {
		waitFor(t, time.Duration(rnd.IntN(4000))*time.Millisecond)
		relay = append(relay, firstPicture(t, "-rtsp_transport", "tcp", "-i", b.rtsp("gate")))
		file = append(file, firstPicture(t, "-i", still))
	}
	slices.Sort(relay)
	slices.Sort(file)
	t.Logf("first picture by ffmpeg: relay %v, still file %v", relay, file)
}

// firstPicture returns the time that ffmpeg takes to decode one picture, start-up included.
func firstPicture(t *testing.T, input ...string) time.Duration {
	t.Helper()
	began := time.Now()
	args := append([]string{"-nostdin", "-v", "error"}, input...)
	if _, errs, err := tool(t, time.Minute, "ffmpeg", append(args, "-frames:v", "1", "-f", "null", "-")...); err != nil {
		t.Fatalf("%v: %s", err, errs)
	}
	return time.Since(began)
}

// TestPageInChromium opens the page in a browser, lets it play a camera, and
// compares two screenshots: the picture moves.
func TestPageInChromium(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir,
		"playwright-core@1.52.0").CombinedOutput(); err != nil {
		t.Fatalf("cannot install playwright-core: %v\n%s", err, out)
	}
	script, err := os.ReadFile("testdata/page.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "page.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	out, errs, err := tool(t, 2*time.Minute, "node", filepath.Join(dir, "page.mjs"), b.http(""), dir)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	t.Log(out)
	if same(t, filepath.Join(dir, "1.png"), filepath.Join(dir, "2.png")) {
		t.Error("the picture does not move")
	}
}

// same tells whether two screenshots show the same.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	var pixels [2][]byte
	for i, name := range []string{a, b} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		img, err := png.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		switch img := img.(type) {
		case *image.RGBA:
			pixels[i] = img.Pix
		case *image.NRGBA:
			pixels[i] = img.Pix
		default:
			t.Fatalf("screenshot of type %T", img)
		}
	}
	return bytes.Equal(pixels[0], pixels[1])
}
