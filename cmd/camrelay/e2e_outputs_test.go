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

// soakEnv lengthens TestOutputs, to its value, a duration, and TestRandomEdits.
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
	length := howLong(t, 20*time.Second)
	cams, rtmp := startGstCams(t, "0"), startRTMPSink(t)
	srts := make(map[string]*srtSink)
	var config strings.Builder
	config.WriteString("version: 1\naccess: {view: open}\ncameras:\n")
	var pushes strings.Builder
	pushes.WriteString("pushes:\n")
	for _, c := range outputsCases {
		srts[c.name] = startSRTSink(t)
		fmt.Fprintf(&config, "  %s: {url: \"%s\"}\n", c.name, cams.url("/"+c.name))
		fmt.Fprintf(&pushes, "  %s-srt: {camera: %s, url: \"%s?latency=800\"}\n", c.name, c.name, srts[c.name].url())
		if c.rtmp {
			fmt.Fprintf(&pushes, "  %s-rtmp: {camera: %s, url: \"%s\"}\n", c.name, c.name, rtmp.url(c.name))
		}
	}
	b := startBox(t, config.String()+"hls: {mode: off}\n")
	for _, c := range outputsCases {
		b.awaitSteady(c.name)
	}
	b.write(config.String() + "hls: {window: 60s}\n" + pushes.String())
	for _, c := range outputsCases {
		b.awaitPush(c.name+"-srt", "active")
		if c.rtmp {
			b.awaitPush(c.name+"-rtmp", "active")
		}
	}
	before, dropped := cams.counts(), udpDropped(t)
	dir := t.TempDir()
	record(t, b, dir, length)
	after := cams.counts()
	dropped = udpDropped(t) - dropped
	for _, c := range outputsCases {
		b.checkNoGap(c.name)
	}
	b.stop()
	for _, s := range srts {
		s.finish()
	}
	for _, c := range outputsCases {
		sent := [2]int{after["/"+c.name][0] - before["/"+c.name][0], after["/"+c.name][1] - before["/"+c.name][1]}
		t.Logf("%s: %d pictures and %d audio frames in %v", c.name, sent[0], sent[1], length)
		files := map[string]string{
			"rtsp-tcp": filepath.Join(dir, c.name+"-tcp.crc"),
			"rtsp-udp": filepath.Join(dir, c.name+"-udp.crc"),
			"hls":      filepath.Join(dir, c.name+"-hls.mkv"),
			"srt":      srts[c.name].path,
		}
		if c.rtmp {
			files["rtmp"] = rtmp.recording(c.name)
		}
		for output, file := range files {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				if output == "rtsp-udp" && dropped > 0 {
					checkLossy(t, file, sent[0], dropped)
					return
				}
				checkOutput(t, c, file, sent[0])
			})
		}
	}
}

// awaitSteady waits until the camera's encoder keeps up: on a busy machine one
// that has just begun sends its first pictures seconds after their sound.
func (b *box) awaitSteady(camera string) {
	b.t.Helper()
	eventually(b.t, 2*time.Minute, camera+" sends all its pictures", func() error {
		c, err := b.camera(camera)
		if err == nil && (c.FrameRate < 24 || c.FrameRate > 26) {
			err = fmt.Errorf("%.1f pictures a second", c.FrameRate)
		}
		return err
	})
}

// record lets ffmpeg store what viewers get, for the length given: HLS as it
// comes, RTSP decoded, since it has no decoding times that could be stored.
func record(t *testing.T, b *box, dir string, length time.Duration) {
	t.Helper()
	seconds := strconv.FormatFloat(length.Seconds(), 'f', -1, 64)
	var wg sync.WaitGroup
	viewer := func(file string, args ...string) {
		all := append([]string{"-nostdin", "-v", "error"}, args...)
		wg.Go(func() {
			_, errs, err := tool(t, length+60*time.Second, "ffmpeg", append(all, filepath.Join(dir, file))...)
			if err != nil || errs != "" {
				t.Errorf("%s: %v\n%s", file, err, errs)
			}
		})
	}
	frames := []string{"-t", seconds, "-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "framecrc"}
	for _, c := range outputsCases {
		tcp := []string{"-rtsp_transport", "tcp", "-i", b.rtsp(c.name) + "?start=gop"}
		viewer(c.name+"-tcp.crc", append(tcp, frames...)...)
		udp := []string{"-rtsp_transport", "udp", "-i", b.rtsp(c.name) + "?start=live"}
		viewer(c.name+"-udp.crc", append(udp, frames...)...)
		viewer(c.name+"-hls.mkv", "-i", b.http(c.name+"/index.m3u8"), "-t", seconds, "-c", "copy",
			"-copyts", "-start_at_zero")
	}
	wg.Wait()
}

// recorded is what a recording holds: times in seconds, in order.
type recorded struct{ video, audio []float64 }

// readRecording decodes a recording and fails on any complaint.
func readRecording(t *testing.T, file string) recorded {
	t.Helper()
	if strings.HasSuffix(file, ".crc") {
		return readFrames(t, file)
	}
	pictures := decode(t, 5*time.Minute, "-i", file)
	p := probe(t, time.Minute, file)
	r := recorded{video: p.times(t, "video"), audio: p.times(t, "audio")}
	if len(r.video) != pictures {
		t.Errorf("%d pictures decoded of %d packets", pictures, len(r.video))
	}
	return r
}

// readFrames reads the list of frames that ffmpeg has decoded.
func readFrames(t *testing.T, file string) (r recorded) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bases := make(map[string]float64)
	for line := range lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#tb "); ok {
			var num, den float64
			stream, base, _ := strings.Cut(rest, ": ")
			if _, err := fmt.Sscanf(base, "%f/%f", &num, &den); err != nil {
				t.Fatal(err)
			}
			bases[stream] = num / den
			continue
		}
		f := strings.Split(line, ",")
		if len(f) < 6 {
			continue
		}
		pts, err := strconv.ParseFloat(strings.TrimSpace(f[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if at := pts * bases[f[0]]; f[0] == "0" {
			r.video = append(r.video, at)
		} else {
			r.audio = append(r.audio, at)
		}
	}
	return r
}

// checkOutput decodes a recording: no error, no picture missing or doubled,
// sound and picture together.
func checkOutput(t *testing.T, c outputsCase, file string, sent int) {
	r := readRecording(t, file)
	slices.Sort(r.video)
	slices.Sort(r.audio)
	// The recordings start within a group of pictures and end when the
	// recorder does; between, every step is one frame. At the end pictures may
	// be missing that are shown before others.
	// ffmpeg gives the first RTSP pictures no time of their own.
	const join, first, reorder = 2*50 + 25, 3, 3
	if len(r.video) < sent-join {
		t.Errorf("%d pictures, the camera has sent %d", len(r.video), sent)
	}
	if len(r.video) > first+reorder {
		checkSteady(t, "video", r.video[first:len(r.video)-reorder], 0.04, 0.0215)
	}
	if !c.audio || len(r.video) == 0 {
		return
	}
	checkSteady(t, "audio", r.audio, 1024.0/48000, 0.0115)
	// An encoder that is busy sends its pictures a second or more after the sound.
	if len(r.audio) == 0 || math.Abs(r.audio[0]-r.video[0]) > 2 {
		t.Errorf("%d audio frames, not beginning with the video", len(r.audio))
		return
	}
	t.Logf("%d pictures, %d audio frames, first %.3f / %.3f", len(r.video), len(r.audio), r.video[0], r.audio[0])
}

// udpDropped returns how many datagrams the kernel has thrown away because
// their receivers did not read in time. File: /proc/net/snmp (proc_pid_net(5)).
func udpDropped(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch i := slices.Index(names, "RcvbufErrors"); {
		case f[0] != "Udp:":
		case names == nil:
			names = f
		case i >= 0:
			n, err = strconv.Atoi(f[i])
		}
	}
	if err != nil || names == nil {
		t.Fatalf("no figures of UDP in /proc/net/snmp: %v", err)
	}
	return n
}

// checkLossy checks a recording over UDP, made while the machine was too busy
// to take all datagrams out of its sockets: most pictures are there.
func checkLossy(t *testing.T, file string, sent, dropped int) {
	r := readRecording(t, file)
	t.Logf("the kernel dropped %d datagrams; %d pictures of %d", dropped, len(r.video), sent)
	if len(r.video) < sent/2 {
		t.Errorf("%d pictures, the camera has sent %d", len(r.video), sent)
	}
}
