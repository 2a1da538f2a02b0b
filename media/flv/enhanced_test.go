package flv_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// fields joins hex digits that are written apart for people.
func fields(s string) string { return strings.ReplaceAll(s, " ", "") }

// TestWhatEnhancedRTMPPrescribes holds the bodies of tags against bytes written
// down from its tables: ExVideoTagHeader and ExAudioTagHeader.
func TestWhatEnhancedRTMPPrescribes(t *testing.T) {
	const ms = time.Millisecond
	hevc := &media.Track{Kind: media.KindVideo, Codec: media.CodecH265}
	opus := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, SampleRate: 48000, Channels: 2}
	mono := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, SampleRate: 48000, Channels: 1}
	idr, trail, frame := []byte{0x26, 0x01, 0xaf}, []byte{0x02, 0x01, 0xd0, 0x80}, []byte{0xfc, 0xff, 0xfe}
	key := &media.Unit{Track: hevc, Key: true, Data: [][]byte{idr}}
	for name, tc := range map[string]struct {
		cfg   flv.Config
		units []*media.Unit
		tag   int // behind the metadata
		want  string
	}{
		"H.265, sequence start": { // IsExHeader, key frame, SequenceStart
			flv.Config{Video: hevc}, []*media.Unit{key}, 1, "90 68766331",
		},
		"H.265, a key frame without composition time": { // CodedFramesX
			flv.Config{Video: hevc}, []*media.Unit{key}, 2, "93 68766331 00000003 2601af",
		},
		"H.265, a picture with composition time": { // inter frame, CodedFrames, SI24
			flv.Config{Video: hevc},
			[]*media.Unit{key, {Track: hevc, DTS: 40 * ms, PTS: 340 * ms, Data: [][]byte{trail}}},
			3, "a1 68766331 00012c 00000004 0201d080",
		},
		"H.265, a picture without composition time": {
			flv.Config{Video: hevc},
			[]*media.Unit{key, {Track: hevc, DTS: 40 * ms, PTS: 40 * ms, Data: [][]byte{trail, idr}}},
			3, "a3 68766331 00000004 0201d080 00000003 2601af",
		},
		"H.265 by codec id 12, sequence header": {
			flv.Config{Video: hevc, Extras: flv.LegacyHEVC}, []*media.Unit{key}, 1, "1c 00 000000",
		},
		"H.265 by codec id 12, a picture": {
			flv.Config{Video: hevc, Extras: flv.LegacyHEVC},
			[]*media.Unit{key, {Track: hevc, DTS: 40 * ms, PTS: 80 * ms, Data: [][]byte{trail}}},
			3, "2c 01 000028 00000004 0201d080",
		},
		"the FourCC wins where both are taken": {
			flv.Config{Video: hevc, Extras: flv.LegacyHEVC | flv.EnhancedHEVC}, []*media.Unit{key}, 1, "90 68766331",
		},
		"Opus, sequence start": { // ExHeader, SequenceStart; RFC 7845 §5.1
			flv.Config{Audio: opus},
			[]*media.Unit{{Track: opus, Data: [][]byte{frame}}},
			1, "90 4f707573 4f70757348656164 01 02 0000 80bb0000 0000 00",
		},
		"Opus in one channel": {
			flv.Config{Audio: mono},
			[]*media.Unit{{Track: mono, Data: [][]byte{frame}}},
			1, "90 4f707573 4f70757348656164 01 01 0000 80bb0000 0000 00",
		},
		"Opus, a frame": { // ExHeader, CodedFrames
			flv.Config{Audio: opus}, []*media.Unit{{Track: opus, Data: [][]byte{frame}}}, 2, "91 4f707573 fcfffe",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tags := mux(flv.New(tc.cfg), tc.units)
			if got := fmt.Sprintf("%x", tags[tc.tag].AppendBody(nil)); got != fields(tc.want) {
				t.Errorf("got  %s\nwant %s", got, fields(tc.want))
			}
		})
	}
}

func TestTheMetadataNamesCodecs(t *testing.T) {
	hevc := &media.Track{Kind: media.KindVideo, Codec: media.CodecH265}
	opus := &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 2}
	for name, tc := range map[string]struct {
		cfg   flv.Config
		first *media.Unit
		want  []string // name of the property, its number
	}{
		"by FourCC": {
			flv.Config{Video: hevc, Audio: opus},
			&media.Unit{Track: hevc, Key: true, Data: [][]byte{{0x26, 1}}},
			[]string{"videocodecid 00 41da1d98cc400000", "audiocodecid 00 41d3dc1d5cc00000"}, // 0x68766331, 0x4f707573
		},
		"by number": {
			flv.Config{Video: hevc, Extras: flv.LegacyHEVC},
			&media.Unit{Track: hevc, Key: true, Data: [][]byte{{0x26, 1}}},
			[]string{"videocodecid 00 4028000000000000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := mux(flv.New(tc.cfg), []*media.Unit{tc.first})[0].AppendBody(nil)
			for _, want := range tc.want {
				property, value, _ := strings.Cut(want, " ")
				b, err := hex.DecodeString(fields(value))
				if err != nil || !bytes.Contains(body, append([]byte(property), b...)) {
					t.Errorf("%s is not in %x, %v", want, body, err)
				}
			}
		})
	}
}

func TestChooseGivesWhatTheOtherSideTakes(t *testing.T) {
	tracks := []*media.Track{
		{Kind: media.KindVideo, Codec: media.CodecH265},
		{Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 6},
		{Kind: media.KindAudio, Codec: media.CodecOpus, Channels: 2},
	}
	for takes, want := range map[flv.Extras]string{
		0:                                   "false false 3",
		flv.EnhancedHEVC:                    "true false 2",
		flv.LegacyHEVC:                      "true false 2",
		flv.EnhancedOpus:                    "false true 2",
		flv.EnhancedHEVC | flv.EnhancedOpus: "true true 1",
	} {
		video, audio, omitted := flv.Choose(tracks, takes)
		if got := fmt.Sprint(video != nil, audio != nil, len(omitted)); got != want {
			t.Errorf("with %b got %s, left out %v, want %s", takes, got, omitted, want)
		}
	}
}

func BenchmarkEnhanced(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H265AAC)
	units := clip.Units(clip.Round())
	m := muxerOf(b, clip)
	size := 0
	for _, u := range units {
		size += u.Size()
	}
	b.SetBytes(int64(size / len(units)))
	b.ReportAllocs()
	var tags []flv.Tag
	var out []byte
	n := 0
	var ring [64]media.Unit // more than ever wait
	for b.Loop() {
		u := &ring[n%len(ring)]
		*u = *units[n%len(units)]
		shift := time.Duration(n/len(units)) * clip.Length
		u.DTS, u.PTS = u.DTS+shift, u.PTS+shift
		n++
		tags, out = m.Tags(u, tags[:0]), out[:0]
		for i := range tags {
			out = tags[i].AppendTag(out)
		}
	}
}
