package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
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

// TestPageInChromium opens the page in a browser, lets it play a camera, and
// compares two screenshots: the picture moves.
func TestPageInChromium(t *testing.T) {
	dir, script := browser(t, "page.mjs")
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264")))
	b.awaitActive("gate")
	out, errs, err := tool(t, 2*time.Minute, "node", script, b.http(""), dir)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	t.Log(out)
	if same(t, filepath.Join(dir, "1.png"), filepath.Join(dir, "2.png")) {
		t.Error("the picture does not move")
	}
}

// browser is npmScript for a script that lets Chromium do something.
func browser(t *testing.T, name string) (dir, script string) {
	t.Helper()
	dir, script = npmScript(t, name, "playwright-core@1.52.0")
	fromTestdata(t, dir, "browser.mjs")
	return dir, script
}

// npmScript puts a script of testdata beside the packages it needs, and returns
// the directory and the script's place in it.
func npmScript(t *testing.T, name string, packages ...string) (dir, script string) {
	t.Helper()
	dir = t.TempDir()
	args := append([]string{"install", "--silent", "--no-audit", "--no-fund", "--prefix", dir}, packages...)
	if out, err := exec.Command("npm", args...).CombinedOutput(); err != nil {
		t.Fatalf("cannot install %q: %v\n%s", packages, err, out)
	}
	return dir, fromTestdata(t, dir, name)
}

// fromTestdata copies a file to a directory and returns its place there.
func fromTestdata(t *testing.T, dir, name string) (file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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
