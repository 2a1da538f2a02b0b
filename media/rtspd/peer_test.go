package rtspd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// leavesInAHurry matches what gst-launch says when its rtspsrc is closed while
// it sends PAUSE: it cancels that, and sometimes the TEARDOWN too, by itself.
var leavesInAHurry = regexp.MustCompile(`^(ERROR: from element \S+: Could not (?:write to|read from) resource\.
Additional debug info:
\S+ (?:gst_rtspsrc_try_send|gst_rtsp_src_receive_response|gst_rtspsrc_pause|gst_rtspsrc_close) \(\): \S+
Could not (?:send|receive) message\. \(Received end-of-file\)
)+$`)

func TestGStreamerDecodesEveryStart(t *testing.T) {
	const pictures = 60
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
					decoded := filepath.Join(t.TempDir(), "pictures.yuv")
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					cmd := exec.CommandContext(ctx, "gst-launch-1.0", "-q", "rtspsrc", "location="+s.url("gate?start="+start),
						"protocols="+transport, "latency=200", "!")
					cmd.Args = append(cmd.Args, strings.Fields(chain)...)
					cmd.Args = append(cmd.Args, "!", "identity", fmt.Sprintf("eos-after=%d", pictures+1),
						"!", "filesink", "sync=true", "location="+decoded)
					said, err := cmd.CombinedOutput()
					if (err != nil || len(said) > 0) && !leavesInAHurry.Match(said) {
						t.Errorf("gst-launch: %v\n%s", err, said)
					}
					if err := s.reason(t); !errors.Is(err, errTeardown) && !errors.Is(err, errClosed) {
						t.Errorf("not the viewer has ended the session: %v", err)
					}
					info, err := os.Stat(decoded)
					if err != nil {
						t.Fatal(err)
					}
					track := cam.clip.Tracks[0]
					if n := int(info.Size()) / (track.Width * track.Height * 3 / 2); n < pictures {
						t.Errorf("%d pictures decoded, want %d", n, pictures)
					}
				})
			}
		}
	}
}
