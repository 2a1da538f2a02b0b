package playlist_test

import (
	"flag"
	"strconv"
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

// low returns a low-latency playlist of two segments and what is open.
func low(skipped int, open *playlist.Segment) playlist.Media {
	const two = 2 * time.Second
	return playlist.Media{
		TargetDuration: 2, Sequence: 41, Independent: true, Skipped: skipped,
		Segments: []playlist.Segment{
			{URI: "a-41.m4s", Map: "a-init1.mp4", Duration: two, DateTime: at(1)},
			{URI: "a-42.m4s", Map: "a-init1.mp4", Duration: two, DateTime: at(3), Parts: parts("a-42", true, 5)},
		},
		Low: &playlist.Low{PartTarget: 400 * time.Millisecond, Open: open, Hint: "a-43.2.m4s"},
	}
}

func parts(segment string, independent bool, n int) (all []playlist.Part) {
	for i := range n {
		all = append(all, playlist.Part{
			URI: segment + "." + strconv.Itoa(i) + ".m4s", Duration: 400 * time.Millisecond, Independent: independent && i == 0,
		})
	}
	return all
}

func TestMedia(t *testing.T) {
	const two = 2 * time.Second
	for _, tc := range []struct {
		name   string
		list   playlist.Media
		suffix string
	}{
		{"live", playlist.Media{
			TargetDuration: 2, Sequence: 41, Independent: true,
			Segments: []playlist.Segment{
				{URI: "a-41.m4s", Map: "a-init1.mp4", Duration: two, DateTime: at(1)},
				{URI: "a-42.m4s", Map: "a-init1.mp4", Duration: 1960 * time.Millisecond, DateTime: at(3)},
			},
		}, ""},
		{"discontinuity-with-new-parameters", playlist.Media{
			TargetDuration: 3, DiscontinuitySequence: 7,
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two, Discontinuity: true},
				{URI: "a-1.m4s", Map: "a-init2.mp4", Duration: two, Discontinuity: true},
				{URI: "a-2.m4s", Map: "a-init2.mp4", Duration: two},
			},
		}, "?token=x"},
		{"discontinuity-with-old-parameters", playlist.Media{
			TargetDuration: 2,
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two},
				{URI: "a-1.m4s", Map: "a-init1.mp4", Duration: two, Discontinuity: true},
			},
		}, ""},
		{"low-latency", low(0, &playlist.Segment{
			Map: "a-init1.mp4", DateTime: at(5), Parts: parts("a-43", true, 2),
		}), "?token=x"},
		{"low-latency-with-nothing-open", low(0, nil), ""},
		{"low-latency-delta", low(1, &playlist.Segment{
			Map: "a-init2.mp4", DateTime: at(5), Discontinuity: true, Parts: []playlist.Part{
				{URI: "a-43.0.m4s", Duration: 400 * time.Millisecond, Independent: true, Gap: true},
			},
		}), ""},
		{"gap", playlist.Media{
			TargetDuration: 2,
			Segments: []playlist.Segment{
				{URI: "a-0.m4s", Map: "a-init1.mp4", Duration: two, Gap: true},
				{URI: "a-1.m4s", Map: "a-init1.mp4", Duration: two},
			},
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mediatest.Golden(t, tc.name+".m3u8", tc.list.Text().With(tc.suffix, 0))
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
			mediatest.Golden(t, tc.name+".m3u8", list.Text())
		})
	}
}

func TestTextIsShared(t *testing.T) {
	list := playlist.Media{TargetDuration: 1, Segments: []playlist.Segment{{URI: "a-0.m4s", Map: "a-init1.mp4"}}}
	text := list.Text()
	plain := string(text.With("", 0))
	if got := string(append(text.With("", 0), "#more\n"...)); got != plain+"#more\n" {
		t.Errorf("got %q", got)
	}
	if got := string(text.With("?a", 0)); strings.ReplaceAll(got, "?a", "") != plain || strings.Count(got, "?a") != 2 {
		t.Errorf("got %q", got)
	}
	if got := string(text.With("", 0)); got != plain {
		t.Errorf("one viewer's text changed another's: %q", got)
	}
}

func TestReport(t *testing.T) {
	const want = `#EXT-X-RENDITION-REPORT:URI="../gate_sub/live.m3u8",LAST-MSN=41,LAST-PART=3` + "\n"
	got := playlist.AppendReport(nil, playlist.Report{URI: "../gate_sub/live.m3u8", Sequence: 41, Part: 3})
	if string(got) != want {
		t.Errorf("got %q", got)
	}
}
