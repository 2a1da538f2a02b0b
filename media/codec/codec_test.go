package codec

import (
	"bytes"
	"encoding/hex"
	"testing"

	"camrelay/media"
)

// Parameter sets of x264 and x265 at 320×240, 25 fps, and of cameras.
const (
	spsHigh     = "6764000dacd94141fb011000000300100000030320f1429960" // x264 high, two B-frames
	ppsHigh     = "68ebe3cb22c0"
	spsBaseline = "6742c00dd90141fb011000000300100000030320f142a480"
	vpsMain     = "40010c01ffff01600000030090000003000003003c959809"
	spsMain     = "420101016000000300900000030000030" + "03ca00a080f165959a4932bc05a020000030002000003003210"
	ppsMain     = "4401c172b46240"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestParseSPS(t *testing.T) {
	for _, tc := range []struct {
		name  string
		codec media.Codec
		sps   string
		want  Video
	}{
		{"high profile that tells its reordering", media.CodecH264, spsHigh, Video{320, 240, 25, 2, false, 4}},
		{"baseline never reorders", media.CodecH264, spsBaseline, Video{320, 240, 25, 0, false, 4}},
		{"HEVC main", media.CodecH265, spsMain, Video{320, 240, 25, 2, false, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseSPS(tc.codec, unhex(t, tc.sps))
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestString(t *testing.T) {
	for _, tc := range []struct {
		name  string
		track media.Track
		want  string
	}{
		{"H.264 high", media.Track{Codec: media.CodecH264, SPS: unhex(t, spsHigh)}, "avc1.64000d"},
		{"H.264 constrained baseline", media.Track{Codec: media.CodecH264, SPS: unhex(t, spsBaseline)}, "avc1.42c00d"},
		{"H.264 not described yet", media.Track{Codec: media.CodecH264}, ""},
		{"HEVC main", media.Track{Codec: media.CodecH265, SPS: unhex(t, spsMain)}, "hvc1.1.6.L60.90"},
		{"HEVC cut short", media.Track{Codec: media.CodecH265, SPS: []byte{0x42, 1, 1}}, ""},
		{"AAC-LC", media.Track{Codec: media.CodecAAC, AudioConfig: unhex(t, "1190")}, "mp4a.40.2"},
		{"AAC with SBR signalled", media.Track{Codec: media.CodecAAC, AudioConfig: unhex(t, "2b8a0800")}, "mp4a.40.5"},
		{"Opus", media.Track{Codec: media.CodecOpus}, "opus"},
		{"G.711", media.Track{Codec: media.CodecPCMA}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := String(&tc.track); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSplitAnnexB(t *testing.T) {
	a, b := []byte{0x67, 1, 0, 2}, []byte{0x68, 9}
	for _, tc := range []struct {
		name   string
		stream []byte
		want   [][]byte
	}{
		{"four-byte codes", AppendAnnexB(nil, [][]byte{a, b}), [][]byte{a, b}},
		{"three-byte codes and trailing zeros", unhex(t, "00000167010002000000016809000000"), [][]byte{a, b}},
		{"no start code", a, nil},
		{"nothing between codes", unhex(t, "00000100000100000001"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := SplitAnnexB(nil, tc.stream)
			if len(got) != len(tc.want) {
				t.Fatalf("got %x, want %x", got, tc.want)
			}
			for i := range got {
				if !bytes.Equal(got[i], tc.want[i]) {
					t.Errorf("got %x, want %x", got[i], tc.want[i])
				}
			}
		})
	}
}

func TestAppendAVCC(t *testing.T) {
	nals := [][]byte{{0x67, 1}, {0x68}}
	got := AppendAVCC([]byte{7}, nals)
	if want := unhex(t, "0700000002670100000001"+"68"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if len(got)-1 != SizeAVCC(nals) {
		t.Errorf("SizeAVCC tells %d", SizeAVCC(nals))
	}
}
