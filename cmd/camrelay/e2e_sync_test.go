package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAudioVideoSync compares, in every output, when the camera's picture
// flashes and when its tick sounds.
func TestAudioVideoSync(t *testing.T) {
	cams, rtmp, srt := startGstCams(t, "0"), startRTMPSink(t), startSRTSink(t)
	b := startBox(t, oneCamera(cams.url("/h264"))+fmt.Sprintf(`pushes:
  up-rtmp: {camera: gate, url: "%s"}
  up-srt: {camera: gate, url: "%s?latency=800"}
`, rtmp.url("gate"), srt.url()))
	b.awaitActive("gate")
	b.awaitPush("up-rtmp", "active")
	b.awaitPush("up-srt", "active")
	eventually(t, time.Minute, "the camera's clocks have settled", func() error {
		c, err := b.camera("gate")
		if err == nil && time.Since(c.Since) < settling {
			err = fmt.Errorf("active since %v", c.Since)
		}
		return err
	})
	live := map[string][]string{
		"camera itself": {"-rtsp_transport", "tcp", "-i", cams.url("/h264")},
		"RTSP TCP":      {"-rtsp_transport", "tcp", "-i", b.rtsp("gate") + "?start=gop"},
		"RTSP UDP":      {"-rtsp_transport", "udp", "-i", b.rtsp("gate") + "?start=live"},
		"HLS":           {"-i", b.http("gate/index.m3u8")},
	}
	t.Run("live", func(t *testing.T) {
		for name, input := range live {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				checkSync(t, 0, append(input, "-t", "12"))
			})
		}
	})
	b.stop()
	srt.finish()
	t.Run("RTMP", func(t *testing.T) { checkSync(t, settling, []string{"-i", rtmp.recording("gate")}) })
	t.Run("SRT", func(t *testing.T) { checkSync(t, settling, []string{"-i", srt.path}) })
}

const (
	maxApart = 50 * time.Millisecond
	// settling is how long after its start a camera's audio and video may still
	// be aligned by their arrival: until it has reported its clocks.
	settling = 15 * time.Second
)

// checkSync fails unless each tick but the first, which a viewer may have
// joined in the middle of, sounds within 50 ms of its flash, or twice that in
// the time given.
func checkSync(t *testing.T, settling time.Duration, input []string) {
	t.Helper()
	dir := t.TempDir()
	video, audio := filepath.Join(dir, "video"), filepath.Join(dir, "audio")
	args := append([]string{"-nostdin", "-v", "error"}, input...)
	args = append(args, "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file="+video,
		"-af", "astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file="+audio,
		"-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "null", "-")
	if _, errs, err := tool(t, 2*time.Minute, "ffmpeg", args...); err != nil || errs != "" {
		t.Fatalf("%v\n%s", err, errs)
	}
	flashes := moments(t, video, func(luma float64) bool { return luma > 150 })
	ticks := moments(t, audio, func(dB float64) bool { return dB > -15 })
	pairs, worst, early := 0, 0.0, 0.0
	var all []float64 // how far apart they are
	for _, f := range flashes {
		nearest := math.Inf(1)
		for _, k := range ticks {
			if math.Abs(k-f) < math.Abs(nearest) {
				nearest = k - f
			}
		}
		if f < 1.5 || math.Abs(nearest) > 0.5 {
			continue
		}
		pairs++
		all = append(all, math.Abs(nearest))
		of := &worst
		if f < settling.Seconds() {
			of = &early
		}
		if math.Abs(nearest) > math.Abs(*of) {
			*of = nearest
		}
		if math.Abs(nearest) > maxApart.Seconds()/2 {
			t.Logf("at %.2f s: %+.0f ms", f, nearest*1000)
		}
	}
	middle := 0.0
	if len(all) > 0 {
		slices.Sort(all)
		middle = all[len(all)/2]
	}
	t.Logf("%d flashes with their ticks, worst %+.0f ms, while clocks settle %+.0f ms", pairs, worst*1000, early*1000)
	limit := maxApart.Seconds()
	if !soaking() { // a camera without time to encode loses its clocks for some seconds
		if pairs < 5 || middle > limit || math.Abs(worst) > 0.5 || math.Abs(early) > 0.5 {
			t.Errorf("%d pairs, %.0f ms apart in the median, want at least 5 within 50 ms", pairs, middle*1000)
		}
		return
	}
	if pairs < 5 || math.Abs(worst) > limit || math.Abs(early) > 2*limit {
		t.Errorf("worst of %d pairs is %+.0f ms and %+.0f ms, want at least 5 within 50 ms", pairs, worst*1000, early*1000)
	}
}

// moments reads what ffmpeg's metadata filter has printed, and returns the
// times, in seconds, at which a value begins to match.
func moments(t *testing.T, file string, match func(float64) bool) (all []float64) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at, before := 0.0, false
	for line := range lines(string(text)) {
		if _, rest, ok := strings.Cut(line, "pts_time:"); ok {
			if at, err = strconv.ParseFloat(strings.TrimSpace(rest), 64); err != nil {
				t.Fatal(err)
			}
			continue
		}
		_, value, ok := strings.Cut(line, "=")
		v, err := strconv.ParseFloat(value, 64) // "-inf" is a number too
		if !ok || err != nil {
			t.Fatalf("unexpected line %q", line)
		}
		now := match(v)
		if now && !before {
			all = append(all, at)
		}
		before = now
	}
	return all
}
