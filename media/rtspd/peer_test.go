package rtspd

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

// run runs a program to its end and fails the test if the program does.
func run(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, diag strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &diag
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out.String(), diag.String())
	}
	return out.String(), diag.String()
}

// starts returns the start modes to try: all of them with one kind of clip.
func starts(kind mediatest.Kind) []string {
	if kind == mediatest.H264AAC {
		return []string{"fast", "gop", "live"}
	}
	return []string{"fast"}
}

func TestFFprobeDecodesEveryStart(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.H265AAC, mediatest.H264Opus} {
		for _, transport := range []string{"tcp", "udp"} {
			for _, start := range starts(kind) {
				t.Run(fmt.Sprintf("%s, %s, %s", kind, transport, start), func(t *testing.T) {
					t.Parallel()
					cam := newCamera(t, kind)
					cam.feed(t)
					s := serve(t, Config{}, cam.stream)
					out, diag := run(t, "ffprobe", "-v", "error", "-rtsp_transport", transport, "-count_frames",
						"-read_intervals", "%+2", "-show_entries", "stream=codec_type,nb_read_frames", "-of", "json",
						s.url("gate?start="+start))
					if diag != "" {
						t.Errorf("ffprobe complains: %s", diag)
					}
					var got struct {
						Streams []struct {
							Type   string `json:"codec_type"`
							Frames string `json:"nb_read_frames"`
						}
					}
					if err := json.Unmarshal([]byte(out), &got); err != nil {
						t.Fatal(err)
					}
					if len(got.Streams) != len(cam.clip.Tracks) {
						t.Fatalf("%d streams, want %d", len(got.Streams), len(cam.clip.Tracks))
					}
					for _, st := range got.Streams {
						if n, _ := strconv.Atoi(st.Frames); n < 40 {
							t.Errorf("%d %s frames decoded in 2 s", n, st.Type)
						}
					}
				})
			}
		}
	}
}

func TestGStreamerDecodesEveryStart(t *testing.T) {
	for kind, chain := range map[mediatest.Kind]string{
		mediatest.H264AAC: "rtph264depay ! h264parse ! avdec_h264",
		mediatest.H265AAC: "rtph265depay ! h265parse ! avdec_h265",
	} {
		for _, transport := range []string{"tcp", "udp"} {
			for _, start := range starts(kind) {
				t.Run(fmt.Sprintf("%s, %s, %s", kind, transport, start), func(t *testing.T) {
					t.Parallel()
					cam := newCamera(t, kind)
					cam.feed(t)
					s := serve(t, Config{}, cam.stream)
					args := []string{
						"-q", "rtspsrc", "location=" + s.url("gate?start="+start), "protocols=" + transport,
						"latency=200", "!",
					}
					args = append(args, strings.Fields(chain+" ! identity eos-after=60 ! fakesink sync=true")...)
					if out, diag := run(t, "gst-launch-1.0", args...); out+diag != "" {
						t.Errorf("gst-launch complains: %s%s", out, diag)
					}
				})
			}
		}
	}
}
