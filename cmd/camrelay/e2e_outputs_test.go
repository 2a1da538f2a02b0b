package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// soakEnv lengthens TestOutputs; its value is a duration.
const soakEnv = "CAMRELAY_SOAK"

// outputsCase is one camera of TestOutputs and what it can be pushed to.
type outputsCase struct {
	name  string
	audio bool
	rtmp  bool
}

var outputsCases = []outputsCase{
	{name: "h264", audio: true, rtmp: true},
	{name: "bframes", audio: true, rtmp: true},
	{name: "h265", audio: true},
	{name: "video", rtmp: true},
}

// TestOutputs plays four cameras of GStreamer's to every output at once and
// decodes what arrives there.
func TestOutputs(t *testing.T) {
	length := 20 * time.Second
	if v := os.Getenv(soakEnv); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatal(err)
		}
		length = d
	}
	cams, rtmp := startGstCams(t, "0"), startRTMPSink(t)
	srts := make(map[string]*srtSink)
	config := "version: 1\naccess: {view: open}\nhls: {window: 60s}\ncameras:\n"
	pushes := "pushes:\n"
	for _, c := range outputsCases {
		srts[c.name] = startSRTSink(t)
		config += fmt.Sprintf("  %s: {url: \"%s\"}\n", c.name, cams.url("/"+c.name))
		pushes += fmt.Sprintf("  %s-srt: {camera: %s, url: \"%s\"}\n", c.name, c.name, srts[c.name].url())
		if c.rtmp {
			pushes += fmt.Sprintf("  %s-rtmp: {camera: %s, url: \"%s\"}\n", c.name, c.name, rtmp.url(c.name))
		}
	}
	b := startBox(t, config+pushes)
	for _, c := range outputsCases {
		b.awaitActive(c.name)
		b.awaitPush(c.name+"-srt", "active")
		if c.rtmp {
			b.awaitPush(c.name+"-rtmp", "active")
		}
	}
	before := cams.counts()
	dir := t.TempDir()
	record(t, b, dir, length)
	after := cams.counts()
	b.stop()
	for _, c := range outputsCases {
		sent := [2]int{after["/"+c.name][0] - before["/"+c.name][0], after["/"+c.name][1] - before["/"+c.name][1]}
		t.Logf("%s: %d pictures and %d audio frames in %v", c.name, sent[0], sent[1], length)
		files := map[string]string{
			"rtsp-tcp": filepath.Join(dir, c.name+"-tcp.mkv"),
			"rtsp-udp": filepath.Join(dir, c.name+"-udp.mkv"),
			"hls":      filepath.Join(dir, c.name+"-hls.mkv"),
			"srt":      srts[c.name].path,
		}
		if c.rtmp {
			files["rtmp"] = rtmp.recording(c.name)
		}
		for output, file := range files {
			t.Run(c.name+"/"+output, func(t *testing.T) { checkOutput(t, c, file, sent[0]) })
		}
	}
}

// record lets ffmpeg store what viewers get, for the length given.
func record(t *testing.T, b *box, dir string, length time.Duration) {
	t.Helper()
	seconds := strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
	var wg sync.WaitGroup
	viewer := func(file string, input ...string) {
		args := append([]string{"-nostdin", "-v", "error"}, input...)
		args = append(args, "-t", seconds, "-c", "copy", "-copyts", filepath.Join(dir, file))
		wg.Go(func() {
			if _, errs, err := tool(t, length+60*time.Second, "ffmpeg", args...); err != nil || errs != "" {
				t.Errorf("%s: %v\n%s", file, err, errs)
			}
		})
	}
	for _, c := range outputsCases {
		viewer(c.name+"-tcp.mkv", "-rtsp_transport", "tcp", "-i", b.rtsp(c.name)+"?start=gop")
		viewer(c.name+"-udp.mkv", "-rtsp_transport", "udp", "-i", b.rtsp(c.name)+"?start=live")
		viewer(c.name+"-hls.mkv", "-i", b.http(c.name+"/index.m3u8"))
	}
	wg.Wait()
}

// checkOutput decodes a recording: no error, no picture missing or doubled,
// sound and picture together.
func checkOutput(t *testing.T, c outputsCase, file string, sent int) {
	pictures := decode(t, 5*time.Minute, "-i", file)
	p := probe(t, time.Minute, file)
	video := p.times(t, "video")
	slices.Sort(video)
	if len(video) != pictures {
		t.Errorf("%d pictures decoded of %d packets", pictures, len(video))
	}
	// The recordings start within a group of pictures and end when the
	// recorder does; between, every step is one frame.
	const join = 2*50 + 25
	if pictures < sent-join {
		t.Errorf("%d pictures, the camera has sent %d", pictures, sent)
	}
	checkSteady(t, "video", video, 0.04, 0.0215)
	if !c.audio {
		return
	}
	audio := p.times(t, "audio")
	slices.Sort(audio)
	checkSteady(t, "audio", audio, 1024.0/48000, 0.0115)
	if len(video) > 0 && len(audio) > 0 {
		if d := math.Abs(audio[0] - video[0]); d > 1 {
			t.Errorf("audio begins %.3f s from video", d)
		}
	}
	if strings.HasSuffix(file, ".mkv") {
		t.Logf("%d pictures, %d audio frames, first %.3f / %.3f", len(video), len(audio), video[0], audio[0])
	}
}
