package playlist_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"camrelay/media/hls/playlist"
	"camrelay/media/mediatest"
)

var _ = flag.Bool("update", false, "rewrite golden files")

func at(s int) time.Time {
	return time.Date(2026, 5, 4, 3, 2, s, 250e6, time.FixedZone("CEST", 7200))
}

func TestMedia(t *testing.T) {
	const two = 2 * time.Second
	for _, tc := range []struct {
		name string
		list playlist.Media
	}{
		{"live", playlist.Media{
			TargetDuration: 2, Sequence: 41, Independent: true,
			Segments: []playlist.Segment{
				{URI: "a-41.m4s", Map: "a-init1.mp4", Duration: two, DateTime: at(1)},
				{URI: "a-42.m4s", Map: "a-init1.mp4", Duration: 1960 * time.Millisecond, DateTime: at(3)},
			},
		}},
		{"discontinuity-with-new-parameters", playlist.Media{
			TargetDuration: 3, DiscontinuitySequence: 7, Suffix: "?token=x",
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two, Discontinuity: true},
				{URI: "a-1.m4s", Map: "a-init2.mp4", Duration: two, Discontinuity: true},
				{URI: "a-2.m4s", Map: "a-init2.mp4", Duration: two},
			},
		}},
		{"discontinuity-with-old-parameters", playlist.Media{
			TargetDuration: 2,
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two},
				{URI: "a-1.m4s", Map: "a-init1.mp4", Duration: two, Discontinuity: true},
			},
		}},
		{"gap", playlist.Media{
			TargetDuration: 2,
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two, Gap: true},
				{URI: "a-1.m4s", Map: "a-init1.mp4", Duration: two},
			},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mediatest.Golden(t, tc.name+".m3u8", tc.list.AppendTo(nil))
		})
	}
}

func TestMultivariant(t *testing.T) {
	for _, tc := range []struct {
		name string
		v    playlist.Variant
	}{
		{"video-and-audio", playlist.Variant{
			URI: "hls.m3u8", Bandwidth: 4400001, Average: 4100000, Codecs: "avc1.64001f,mp4a.40.2",
			Width: 1920, Height: 1080, FrameRate: 30000. / 1001,
		}},
		{"audio-only", playlist.Variant{URI: "hls.m3u8", Bandwidth: 66000, Average: 65000, Codecs: "mp4a.40.2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list := playlist.Multivariant{Independent: true, Variants: []playlist.Variant{tc.v}}
			mediatest.Golden(t, tc.name+".m3u8", list.AppendTo(nil))
		})
	}
}

func TestAppendToKeepsWhatIsThere(t *testing.T) {
	list := playlist.Media{TargetDuration: 1}
	if got := string(list.AppendTo([]byte("x\n"))); !strings.HasPrefix(got, "x\n#EXTM3U\n") {
		t.Errorf("got %q", got)
	}
}
