package flv_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

var _ = flag.Bool("update", false, "rewrite golden files")

// mux returns the tags of all units, flushed.
func mux(m *flv.Muxer, units []*media.Unit) []flv.Tag {
	var tags []flv.Tag
	for _, u := range units {
		tags = m.Tags(u, tags)
	}
	return m.Flush(tags)
}

func muxerOf(t testing.TB, c *mediatest.Clip) *flv.Muxer {
	t.Helper()
	video, audio, _ := flv.Choose(c.Tracks, flv.EnhancedHEVC)
	return flv.New(flv.Config{Video: video, Audio: audio, Encoder: "camrelay/test", Bitrate: 1_000_000})
}

// file writes tags as an FLV file and returns its path.
func file(t *testing.T, c *mediatest.Clip, tags []flv.Tag) string {
	t.Helper()
	video, audio, _ := flv.Choose(c.Tracks, flv.EnhancedHEVC)
	b := flv.AppendFileHeader(nil, video != nil, audio != nil)
	for i := range tags {
		b = tags[i].AppendTag(b)
	}
	path := filepath.Join(t.TempDir(), "out.flv")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFFmpegReadsEveryFrameAtItsTime(t *testing.T) {
	for _, kind := range []mediatest.Kind{
		mediatest.H264, mediatest.H264AAC, mediatest.H264B, mediatest.H264BOnly, mediatest.H264Opus, mediatest.AAC,
	} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			units := clip.Until(10 * time.Second)
			path := file(t, clip, mux(muxerOf(t, clip), units))
			mediatest.Decodes(t, path)
			p := mediatest.Probe(t, path)
			base := firstStart(clip, units)
			for name, k := range map[string]media.Kind{"video": media.KindVideo, "audio": media.KindAudio} {
				var want []time.Duration
				for _, u := range units {
					if u.Track.Kind == k && u.Track.Codec != media.CodecOpus && u.DTS >= base {
						want = append(want, u.PTS-base)
					}
				}
				got := p.Times(t, name)
				if len(got) != len(want) {
					t.Fatalf("%d frames of %s, want %d", len(got), name, len(want))
				}
				for i := range got {
					if d := (got[i] - want[i]).Abs(); d > time.Millisecond {
						t.Fatalf("%s frame %d at %v, want %v", name, i, got[i], want[i])
					}
				}
			}
		})
	}
}

// firstStart returns the DTS that becomes 0.
func firstStart(c *mediatest.Clip, units []*media.Unit) time.Duration {
	for _, u := range units {
		if c.Video() == nil || u.Track.Kind == media.KindVideo && u.Key {
			return u.DTS
		}
	}
	return 0
}

func TestTagsAreAsWritten(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264B, mediatest.H265B} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			var b strings.Builder
			for _, g := range mux(muxerOf(t, clip), clip.Until(400*time.Millisecond)) {
				fmt.Fprintf(&b, "%2d %4d ms key=%-5t header=%-5t %x\n", g.Type, g.Timestamp, g.Key, g.Header, g.Head())
			}
			mediatest.Golden(t, string(kind)+".txt", []byte(b.String()))
		})
	}
}

// TestSequenceHeadersAreThoseOfFFmpeg compares the decoder configurations with
// what ffmpeg wrote into the MP4 of the clip.
func TestSequenceHeadersAreThoseOfFFmpeg(t *testing.T) {
	for kind, size := range map[mediatest.Kind]int{
		mediatest.H264B: 0, mediatest.H264AAC: 0,
		mediatest.H265B: 23, // behind it ffmpeg also keeps an SEI
	} {
		t.Run(string(kind), func(t *testing.T) {
			clip := mediatest.MakeClip(t, kind)
			want := mediatest.Probe(t, "-show_data", clip.File).Stream("video").Extradata
			got := mux(muxerOf(t, clip), clip.Units(8))[1].Data[0]
			if size > 0 {
				got, want = got[:size-1], want[:size-1] // the last byte counts the arrays
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
		})
	}
}

func TestTagsNeverGoBack(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B} {
		for _, lag := range []time.Duration{0, 60 * time.Millisecond, 250 * time.Millisecond, time.Second} {
			t.Run(fmt.Sprintf("%s with audio arriving %v late", kind, lag), func(t *testing.T) {
				clip := mediatest.MakeClip(t, kind)
				tags := mux(muxerOf(t, clip), late(clip.Units(2000), lag))
				last := map[flv.Type]uint32{}
				var newest uint32
				for i, g := range tags {
					if g.Timestamp < last[g.Type] {
						t.Fatalf("tag %d of type %d falls from %d to %d ms", i, g.Type, last[g.Type], g.Timestamp)
					}
					if lag <= 250*time.Millisecond && g.Timestamp < newest {
						t.Fatalf("tag %d falls from %d to %d ms", i, newest, g.Timestamp)
					}
					last[g.Type], newest = g.Timestamp, max(newest, g.Timestamp)
				}
			})
		}
	}
}

// plainVideo returns a track with ID 0 whose parameter sets say nothing.
func plainVideo() *media.Track {
	return &media.Track{
		Kind: media.KindVideo, Codec: media.CodecH264, SPS: []byte{0x67, 66, 0, 30}, PPS: []byte{0x68, 1},
	}
}

// late returns the units in an order in which audio comes behind video.
func late(units []*media.Unit, lag time.Duration) []*media.Unit {
	var out, audio []*media.Unit
	for _, u := range units {
		for len(audio) > 0 && audio[0].DTS+lag <= u.DTS {
			out, audio = append(out, audio[0]), audio[1:]
		}
		if u.Track.Kind == media.KindAudio {
			audio = append(audio, u)
		} else {
			out = append(out, u)
		}
	}
	return append(out, audio...)
}

func TestStampsDoNotDrift(t *testing.T) {
	track := plainVideo()
	m := flv.New(flv.Config{Video: track})
	const fps, days = 30, 60
	at := func(frame int64) time.Duration { return 7*time.Second + media.ToDuration(frame*3003, 90000) }
	for _, frame := range []int64{0, 1, 2, 1000, 1 << 20, days * 24 * 3600 * fps} {
		u := &media.Unit{Track: track, DTS: at(frame), PTS: at(frame), Key: true, Data: [][]byte{{0x65, 0x80}}}
		tags := m.Tags(u, nil)
		got, want := tags[len(tags)-1].Timestamp, uint32((frame*3003*1000+45000)/90000)
		if got != want {
			t.Errorf("frame %d at %d ms, want %d", frame, got, want)
		}
	}
}

func TestWhatIsWritten(t *testing.T) {
	video := plainVideo()
	other := *video
	other.PPS = []byte{0x68, 2}
	audio := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, AudioConfig: []byte{0x11, 0x90}}
	unit := func(t *media.Track, ms int, key, gap bool, data ...[]byte) *media.Unit {
		d := time.Duration(ms) * time.Millisecond
		return &media.Unit{Track: t, PTS: d, DTS: d, Key: key, Gap: gap, Data: data}
	}
	idr, slice, frame := []byte{0x65, 0x80}, []byte{0x41, 0x80}, []byte{0xde, 0x04}
	for name, tc := range map[string]struct {
		units []*media.Unit
		want  string // of each tag: s script, H header, K key, P picture, A audio
	}{
		"a stream begins with its headers": {
			[]*media.Unit{unit(video, 0, true, false, idr), unit(audio, 0, true, false, frame)}, "sHHKA",
		},
		"nothing comes before the first key frame": {
			[]*media.Unit{
				unit(audio, 0, true, false, frame), unit(video, 10, false, false, slice), unit(video, 20, true, false, idr),
			},
			"sHHK",
		},
		"audio from before the first picture is left out": {
			[]*media.Unit{
				unit(video, 20, true, false, idr), unit(audio, 10, true, false, frame), unit(audio, 30, true, false, frame),
			},
			"sHHKA",
		},
		"after a gap pictures wait for a key frame, audio does not": {
			[]*media.Unit{
				unit(video, 0, true, false, idr), unit(video, 40, false, true, slice), unit(audio, 50, false, false, frame),
				unit(video, 80, false, false, slice), unit(video, 120, true, false, idr),
			},
			"sHHKAK",
		},
		"new parameters make a new sequence header": {
			[]*media.Unit{unit(video, 0, true, false, idr), unit(&other, 40, true, false, idr)}, "sHHKHK",
		},
		"a unit of nothing but parameter sets makes no tag": {
			[]*media.Unit{unit(video, 0, true, false, idr), unit(video, 40, false, false, video.SPS, video.PPS)}, "sHHK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, g := range mux(flv.New(flv.Config{Video: video, Audio: audio}), tc.units) {
				switch {
				case g.Type == flv.Script:
					got.WriteByte('s')
				case g.Header:
					got.WriteByte('H')
				case g.Type == flv.Audio:
					got.WriteByte('A')
				case g.Key:
					got.WriteByte('K')
				default:
					got.WriteByte('P')
				}
			}
			if got.String() != tc.want {
				t.Errorf("got %s, want %s", got.String(), tc.want)
			}
		})
	}
}

func TestParameterSetsDelimitersAndFillerStayOut(t *testing.T) {
	track := plainVideo()
	second, sei, idr := []byte{0x68, 9}, []byte{6, 5}, []byte{0x65, 0x80, 1}
	data := [][]byte{{9, 0xf0}, track.SPS, track.PPS, second, sei, idr, {12, 0xff}}
	u := &media.Unit{Track: track, Key: true, Data: data}
	before := fmt.Sprint(data)
	tags := mux(flv.New(flv.Config{Video: track}), []*media.Unit{u})
	want := "0000000268090000000206050000000365" + "8001"
	if got := fmt.Sprintf("%x", tags[len(tags)-1].AppendBody(nil)[5:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if fmt.Sprint(data) != before {
		t.Error("the unit was modified")
	}
}

func TestChooseTellsWhatIsLeftOut(t *testing.T) {
	tracks := []*media.Track{
		{Kind: media.KindVideo, Codec: media.CodecH265},
		{Kind: media.KindVideo, Codec: media.CodecH264},
		{Kind: media.KindAudio, Codec: media.CodecPCMA},
		{Kind: media.KindAudio, Codec: media.CodecAAC},
		{Kind: media.KindAudio, Codec: media.CodecAAC},
		{Kind: media.KindApplication},
	}
	video, audio, omitted := flv.Choose(tracks, 0)
	if video != tracks[1] || audio != tracks[3] || len(omitted) != 4 {
		t.Errorf("chose %v and %v, left out %v", video, audio, omitted)
	}
	if video, _, _ = flv.Choose(tracks, flv.EnhancedHEVC); video != tracks[0] {
		t.Errorf("with Enhanced RTMP the first video track is %v", video)
	}
}

// readTag is a reader of one tag of a file, written from the specification.
func readTag(b []byte) (typ byte, ts uint32, body, rest []byte, ok bool) {
	if len(b) < 15 {
		return 0, 0, nil, nil, false
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if len(b) < 15+n || binary.BigEndian.Uint32(b[11+n:]) != uint32(11+n) || !bytes.Equal(b[8:11], []byte{0, 0, 0}) {
		return 0, 0, nil, nil, false
	}
	ts = uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24
	return b[0], ts, b[11 : 11+n], b[15+n:], true
}

func FuzzMuxer(f *testing.F) {
	f.Add([]byte{0, 0x65, 1, 0x41, 2, 0x41, 0, 0x65}, int64(40))
	f.Add([]byte{0, 0x65, 3, 0xff, 1, 0x67, 7, 0x09}, int64(-70))
	f.Fuzz(func(t *testing.T, script []byte, step int64) {
		video := &media.Track{Kind: media.KindVideo, Codec: media.CodecH264, SPS: script, PPS: script}
		audio := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, AudioConfig: script}
		m := flv.New(flv.Config{Video: video, Audio: audio})
		var units []*media.Unit
		var dts time.Duration
		for i := 0; i+1 < len(script); i += 2 {
			dts += time.Duration(step%1000) * time.Millisecond // the DTS of a track never falls: the muxer clamps what does
			track := video
			if script[i]&1 != 0 {
				track = audio
			}
			units = append(units, &media.Unit{
				Track: track, DTS: dts, PTS: dts + time.Duration(script[i])*time.Millisecond,
				Key: script[i]&2 == 0, Gap: script[i]&4 != 0, Data: [][]byte{script[i+1:]},
			})
		}
		last := map[flv.Type]uint32{}
		for _, g := range mux(m, units) {
			typ, ts, body, rest, ok := readTag(g.AppendTag(nil))
			if !ok || len(rest) != 0 || typ != byte(g.Type) || ts != g.Timestamp || !bytes.Equal(body, g.AppendBody(nil)) {
				t.Fatalf("tag %+v does not read back", g)
			}
			if g.Size() != len(body) || ts < last[g.Type] {
				t.Fatalf("size %d of %d bytes, stamp %d after %d", g.Size(), len(body), ts, last[g.Type])
			}
			last[g.Type] = ts
		}
	})
}

func BenchmarkMuxer(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	units := clip.Units(clip.Round())
	for name, write := range map[string]bool{"tags": false, "tags and bytes": true} {
		b.Run(name, func(b *testing.B) {
			m := muxerOf(b, clip)
			size, n := 0, 0
			for _, u := range units {
				size += u.Size()
			}
			b.SetBytes(int64(size / len(units)))
			b.ReportAllocs()
			var tags []flv.Tag
			var out []byte
			var ring [64]media.Unit // more than ever wait
			for b.Loop() {
				u := &ring[n%len(ring)]
				*u = *units[n%len(units)]
				shift := time.Duration(n/len(units)) * clip.Length
				u.DTS, u.PTS = u.DTS+shift, u.PTS+shift
				n++
				tags = m.Tags(u, tags[:0])
				if write {
					out = out[:0]
					for i := range tags {
						out = tags[i].AppendTag(out)
					}
				}
			}
		})
	}
}
