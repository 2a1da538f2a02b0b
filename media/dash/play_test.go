package dash

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// frame is how long a picture of a clip is shown.
const frame = 40 * time.Millisecond

// TestGStreamerPlays lets dashdemux play streams across an outage, and wants
// each picture once.
func TestGStreamerPlays(t *testing.T) {
	outage := [2]time.Duration{uptime + time.Second, uptime + 3500*time.Millisecond}
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, mediatest.MakeClip(t, kind), time.Minute, outage)
			times := launch(t, s.url+"/gate/manifest.mpd", 150)
			pictures, jumps := times["video"], 0
			for i, at := range pictures[1:] {
				switch d := at - pictures[i]; {
				case (d - frame).Abs() < 2*time.Millisecond:
				case d > outage[1]-outage[0] && d < outage[1]-outage[0]+time.Second:
					jumps++
				default:
					t.Errorf("%v after %v", at, pictures[i])
				}
			}
			if jumps != 1 || pictures[0] > outage[0] || pictures[0] < uptime-kept {
				t.Errorf("%d jumps, want that of the outage; from %v on", jumps, pictures[0])
			}
		})
	}
}

// launch lets GStreamer play until it has had n pictures and n frames of sound,
// and returns their times.
func launch(t *testing.T, url string, n int) map[string][]time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "testdata/play.py", url, strconv.Itoa(n))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	times := map[string][]time.Duration{}
	for line := range strings.Lines(string(out)) {
		kind, at, _ := strings.Cut(strings.TrimSpace(line), " ")
		ns, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		times[kind] = append(times[kind], time.Duration(ns))
	}
	if err != nil {
		t.Fatalf("GStreamer: %v after %d pictures and %d frames of sound, want %d\n%s", err, len(times["video"]),
			len(times["audio"]), n, errs.String())
	}
	return times
}

// TestFFmpegPlays lets ffmpeg decode pictures and sound.
func TestFFmpegPlays(t *testing.T) {
	s := newSite(t, mediatest.MakeClip(t, mediatest.H264AAC), time.Minute)
	mediatest.Decodes(t, "-t", "5", s.url+"/gate/manifest.mpd")
	p := mediatest.Probe(t, "-read_intervals", "%+4", s.url+"/gate/manifest.mpd")
	if n := len(p.Of(media.KindVideo.String())); n < 75 {
		t.Errorf("%d pictures in 4 s", n)
	}
}
