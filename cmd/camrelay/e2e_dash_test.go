package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// TestDASHPlays lets ffmpeg play the manifests of live cameras.
func TestDASHPlays(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  gate: {url: \"%s\"}\n  b: {url: \"%s\"}\n"+
		"  h: {url: \"%s\"}\n", cams.url("/h264"), cams.url("/bframes"), cams.url("/h265")))
	for _, camera := range []string{"gate", "b", "h"} {
		b.awaitActive(camera)
		url := b.http(camera + "/manifest.mpd")
		t.Run("ffmpeg "+camera, func(t *testing.T) {
			if n := decode(t, 60*time.Second, "-i", url, "-frames:v", "100"); n < 100 {
				t.Errorf("%d pictures, want 100", n)
			}
		})
	}
}

// TestUnknownDASHIsRefused asks for what there is not.
func TestUnknownDASHIsRefused(t *testing.T) {
	b := startBox(t, "version: 1\naccess: {view: open}\n")
	for _, file := range []string{"nope/manifest.mpd", "nope/dash-00000000-1-1.m4s", "dash-x", "nope/dash-x"} {
		res, err := http.Get(b.http(file))
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", file, res.Status)
		}
	}
}

// dashed is what dash.mjs prints.
type dashed struct {
	Latency         []float64 // s, as dash.js tells, each tenth of a second
	Behind          []float64 // ms behind the time of day by availabilityStartTime
	Stalls          int
	Errors          []string
	Frames, Dropped int
	Late            int     // of Frames, in the last 5 s
	Time            float64 // s
}

// TestDASHInChromium plays a live camera with dash.js and tells the latency. In the
// long form the daemon is restarted meanwhile, once by kill -9: the player goes on
// without being loaded again. It is told to try for longer than it does by default.
func TestDASHInChromium(t *testing.T) {
	d := howLong(t, 20*time.Second)
	dir, script := browser(t, "dash.mjs")
	if out, err := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir,
		"dashjs@5.2.1").CombinedOutput(); err != nil {
		t.Fatalf("cannot install dash.js: %v\n%s", err, out)
	}
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264"))+fmt.Sprintf("http: {listen: \"127.0.0.1:%s\"}\n", freePort(t, "tcp")),
		"--keep-segments")
	b.awaitActive("gate")
	url := b.http("gate/manifest.mpd")
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !bytes.Contains(text, []byte("<S t=")) {
		t.Fatalf("%s %v\n%s", res.Status, err, text)
	}
	least := 0.8
	out, errs := inChromium(t, d+3*time.Minute, func() {
		if soaking() {
			least = 0.5
			b.stop()
			b.launch()
			b.awaitActive("gate")
			b.kill9()
			b.launch()
		}
	}, script, url, fmt.Sprint(d.Seconds()))
	var w dashed
	if err := json.Unmarshal(out, &w); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(w.Behind) == 0 || len(w.Latency) == 0 {
		t.Fatalf("it does not play: %s\n%s", out, errs)
	}
	slices.Sort(w.Behind)
	slices.Sort(w.Latency)
	t.Logf("latency %.2f s by dash.js, %.0f ms by the manifest; %d stalls, %d pictures, %d of them at the end, "+
		"%d dropped in %.1f s; %v",
		w.Latency[len(w.Latency)/2], w.Behind[len(w.Behind)/2], w.Stalls, w.Frames, w.Late, w.Dropped, w.Time, w.Errors)
	if len(w.Errors) > 0 {
		t.Errorf("%v", w.Errors)
	}
	if want := int(d.Seconds() * 25 * least); w.Frames < want || w.Late < 60 {
		t.Errorf("%d pictures, want %d; %d at the end\n%s", w.Frames, want, w.Late, errs)
	}
}
