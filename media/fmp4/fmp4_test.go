package fmp4_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"camrelay/media"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

var _ = flag.Bool("update", false, "rewrite golden files")

// fragment returns the bytes of the pending fragment, nil if there is none.
func fragment(tb testing.TB, m *fmp4.Muxer, next *media.Unit) []byte {
	tb.Helper()
	bufs, size := m.Flush(nil, next)
	b := bytes.Join(bufs, nil)
	if len(b) != size {
		tb.Fatalf("Flush tells %d bytes and gives %d", size, len(b))
	}
	return b
}

// file returns an init segment and the fragments of units, one every so many.
func file(tb testing.TB, tracks []*media.Track, units []*media.Unit, every int) []byte {
	tb.Helper()
	b, err := fmp4.Init(tracks)
	if err != nil {
		tb.Fatal(err)
	}
	m := fmp4.NewMuxer(tracks)
	for i, u := range units {
		if i > 0 && i%every == 0 {
			b = append(b, fragment(tb, m, u)...)
		}
		m.Add(u)
	}
	return append(b, fragment(tb, m, nil)...)
}

func TestFilesPlay(t *testing.T) {
	kinds := append(mediatest.Kinds(), mediatest.AAC, mediatest.H265B, mediatest.H264BOnly)
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			units := clip.Units(clip.Round())
			name := filepath.Join(t.TempDir(), "clip.mp4")
			if err := os.WriteFile(name, file(t, clip.Tracks, units, 20), 0o600); err != nil {
				t.Fatal(err)
			}
			mediatest.Decodes(t, name)
			probed := mediatest.Probe(t, name)
			for i, track := range clip.Tracks {
				compare(t, probed.Of(track.Kind.String()), of(units, i))
			}
			v := probed.Stream("video")
			if track := clip.Video(); v != nil && (v.Width != track.Width || v.Height != track.Height) {
				t.Errorf("ffprobe sees %d×%d", v.Width, v.Height)
			}
			if v != nil && strings.HasPrefix(string(kind), "H265") && v.CodecTag != "hvc1" {
				t.Errorf("HEVC has the tag %s", v.CodecTag)
			}
		})
	}
}

func of(units []*media.Unit, track int) (out []*media.Unit) {
	for _, u := range units {
		if u.Track.ID == track {
			out = append(out, u)
		}
	}
	return out
}

// compare checks number, times and key flags of packets against units.
func compare(t *testing.T, got []mediatest.ProbedPacket, want []*media.Unit) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("ffprobe sees %d packets of %d units", len(got), len(want))
	}
	for i, u := range want {
		pts, dts := parse(t, got[i].PTS), parse(t, got[i].DTS)
		if (pts-u.PTS).Abs() > 20*time.Microsecond || (dts-u.DTS).Abs() > 20*time.Microsecond {
			t.Fatalf("packet %d: PTS %v DTS %v, want %v %v", i, pts, dts, u.PTS, u.DTS)
		}
		if key := u.Key || u.Track.Kind == media.KindAudio; got[i].Key() != key {
			t.Fatalf("packet %d: key is %v", i, !key)
		}
	}
}

func parse(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBoxes(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264B, mediatest.H265AAC, mediatest.H264Opus, mediatest.AAC} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			f, err := mp4.DecodeFile(bytes.NewReader(file(t, clip.Tracks, clip.Units(16), 8)))
			if err != nil {
				t.Fatal(err)
			}
			var dump bytes.Buffer
			if err := f.Info(&dump, "trun:1", "", "  "); err != nil {
				t.Fatal(err)
			}
			mediatest.Golden(t, string(kind)+".txt", stable(dump.Bytes()))
		})
	}
}

// stable leaves out what depends on the encoder's version: sizes, parameter
// sets, and bytes of the configuration.
func stable(dump []byte) []byte {
	var out []byte
	for line := range bytes.Lines(dump) {
		if _, err := hex.DecodeString(string(bytes.TrimSpace(line))); err == nil || bytes.Contains(line, []byte("PS:")) {
			continue
		}
		out = append(out, blank(line)...)
	}
	return out
}

// blank takes data offsets and sizes out of a line.
func blank(line []byte) []byte {
	for _, name := range []string{"ataOffset: ", "size: ", "size="} {
		i := bytes.Index(line, []byte(name))
		if i < 0 {
			continue
		}
		i += len(name)
		for i < len(line) && line[i] >= '0' && line[i] <= '9' {
			line = append(line[:i], line[i+1:]...)
		}
	}
	return line
}

func TestInitRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		track media.Track
		want  string
	}{
		{"G.711", media.Track{Kind: media.KindAudio, Codec: media.CodecPCMA}, "cannot carry PCMA"},
		{"motion JPEG", media.Track{Kind: media.KindVideo, Codec: media.CodecMJPEG}, "cannot carry MJPEG"},
		{
			"surround Opus",
			media.Track{Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 6},
			"cannot carry Opus of 6 channels",
		},
		{
			"H.264 without parameter sets",
			media.Track{Kind: media.KindVideo, Codec: media.CodecH264},
			"cannot describe H264 track: its parameters are not known",
		},
		{
			"H.264 with an SPS of one byte",
			media.Track{Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{0x67}, PPS: []byte{0x68}},
			"cannot describe H264 track: ",
		},
		{
			"H.265 with empty parameter sets",
			media.Track{Kind: media.KindVideo, Codec: media.CodecH265, VPS: []byte{0x40}, SPS: []byte{0x42}, PPS: []byte{0x44}},
			"cannot describe H265 track: ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fmp4.Init([]*media.Track{&tc.track})
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestMuxer(t *testing.T) {
	video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264, FrameRate: 25}
	slice := func(ms int, nals ...[]byte) *media.Unit {
		d := time.Duration(ms) * time.Millisecond
		return &media.Unit{Track: video, PTS: d, DTS: d, Data: nals}
	}
	idr, other := []byte{0x65, 1, 2}, []byte{0x41, 3}
	t.Run("an empty muxer gives nothing", func(t *testing.T) {
		if b := fragment(t, fmp4.NewMuxer([]*media.Track{video}), nil); len(b) != 0 {
			t.Errorf("got %x", b)
		}
	})
	t.Run("parameter sets, delimiters and filler are left out", func(t *testing.T) {
		m := fmp4.NewMuxer([]*media.Track{video})
		if !m.Add(slice(0, []byte{9, 0xf0}, []byte{0x67, 1}, []byte{0x68, 1}, idr, []byte{12, 0xff})) {
			t.Fatal("not added")
		}
		if m.Add(slice(40, []byte{0x68, 1})) {
			t.Error("a unit of parameter sets alone was added")
		}
		b := fragment(t, m, nil)
		if want := []byte("mdat\x00\x00\x00\x03\x65\x01\x02"); !bytes.HasSuffix(b, want) {
			t.Errorf("got %x", b)
		}
	})
	t.Run("a unit of another track is refused", func(t *testing.T) {
		m := fmp4.NewMuxer([]*media.Track{video})
		if m.Add(&media.Unit{Track: &media.Track{ID: 1, Kind: media.KindAudio}, Data: [][]byte{{1}}}) {
			t.Error("added")
		}
	})
	t.Run("the last sample ends where the next begins", func(t *testing.T) {
		if got := durations(t, video, slice(100), slice(0, idr), slice(40, other)); got != "3600 5400" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("without a next one it has the usual duration", func(t *testing.T) {
		if got := durations(t, video, nil, slice(0, idr), slice(40, other)); got != "3600 3600" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("equal decoding times are told apart", func(t *testing.T) {
		if got := durations(t, video, nil, slice(0, idr), slice(0, other), slice(40, other)); got != "1 3599 3600" {
			t.Errorf("got %s", got)
		}
	})
}

// durations returns the durations of samples in one fragment, in ticks.
func durations(t *testing.T, track *media.Track, next *media.Unit, units ...*media.Unit) string {
	t.Helper()
	m := fmp4.NewMuxer([]*media.Track{track})
	for _, u := range units {
		m.Add(u)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(fragment(t, m, next)))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range f.Segments[0].Fragments[0].Moof.Traf.Trun.Samples {
		out = append(out, itoa(s.Dur))
	}
	return strings.Join(out, " ")
}
