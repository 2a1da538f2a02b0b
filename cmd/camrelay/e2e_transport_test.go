package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// TestTransportStreamHLS plays ts.m3u8 of live cameras, and switches it off.
func TestTransportStreamHLS(t *testing.T) {
	t.Parallel() // it waits most of the time
	cams := startGstCams(t, "0")
	config := fmt.Sprintf("version: 1\naccess: {view: open}\ncameras:\n  gate: {url: %q}\n  h: {url: %q}\n",
		cams.url("/h264"), cams.url("/h265"))
	b := startBox(t, config)
	for _, camera := range []string{"gate", "h"} {
		b.awaitActive(camera)
		url := b.http(camera + "/ts.m3u8")
		t.Run("ffmpeg "+camera, func(t *testing.T) {
			if n := decode(t, 90*time.Second, "-i", url, "-frames:v", "100"); n < 100 {
				t.Errorf("%d pictures, want 100", n)
			}
		})
	}
	t.Run("GStreamer", func(t *testing.T) {
		out, errs, err := tool(t, 90*time.Second, "gst-launch-1.0", "-q", "playbin3",
			"uri="+b.http("gate/ts.m3u8"), "flags=video", "video-sink=identity eos-after=60 ! fakesink sync=false")
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, out, errs)
		}
	})
	status := func(player string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.http("gate/ts.m3u8"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", player)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := status("old"); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	b.write(config + "hls: {mode: off}\n")
	eventually(t, 60*time.Second, "the viewer is sent away", func() error {
		if got := status("old"); got != http.StatusGone && got != http.StatusNotFound {
			return fmt.Errorf("got %d", got)
		}
		return nil
	})
	if got := status("new"); got != http.StatusNotFound {
		t.Errorf("got %d", got)
	}
}

// sequence returns the number of the newest segment of a playlist.
func (b *box) sequence(path string) (newest int, err error) {
	text, err := b.playlist(path)
	if err != nil {
		return 0, err
	}
	newest, _, err = newestSegment(text)
	return newest, err
}

// TestTransportStreamInChromium plays ts.m3u8 in hls.js, over a kill -9 of the
// daemon.
func TestTransportStreamInChromium(t *testing.T) {
	cams := startGstCams(t, "0")
	b := startBox(t, oneCamera(cams.url("/h264"))+fmt.Sprintf("http: {listen: \"127.0.0.1:%s\"}\n", freePort(t, "tcp")))
	b.awaitActive("gate")
	w := b.watch(t, "ts.m3u8", 15*time.Second, func() {
		before, err := b.sequence("gate/ts.m3u8")
		if err != nil {
			t.Error(err)
		}
		b.kill9()
		b.launch()
		b.awaitActive("gate")
		eventually(t, time.Minute, "the playlist goes on", func() error {
			after, err := b.sequence("gate/ts.m3u8")
			if err == nil && after < before {
				t.Errorf("the media sequence fell from %d to %d", before, after)
			}
			return err
		})
	})
	newest := w.checkSequence(t)
	t.Logf("%d pictures in %.1f s, sequence numbers up to %d; errors on the way: %v", w.Frames, w.Time, newest, w.Errors)
	if w.Frames < 25*4 {
		t.Errorf("%d pictures", w.Frames)
	}
}
