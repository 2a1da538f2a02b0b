package codec

import (
	"bytes"
	"os/exec"
	"testing"

	"camrelay/media"
)

func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		name  string
		track media.Track
		want  media.Track
		fails bool
	}{
		{
			"H.264 with B-frames",
			media.Track{Codec: media.CodecH264, SPS: unhex(t, spsHigh)},
			media.Track{Width: 320, Height: 240, FrameRate: 25, Reorder: true},
			false,
		},
		{
			"H.264 baseline",
			media.Track{Codec: media.CodecH264, SPS: unhex(t, spsBaseline)},
			media.Track{Width: 320, Height: 240, FrameRate: 25},
			false,
		},
		{
			"a frame rate of the SDP stays if the SPS is no better",
			media.Track{Codec: media.CodecH264, SPS: unhex(t, "6742001fda014016e4"), FrameRate: 15},
			media.Track{Width: 1280, Height: 720, FrameRate: 15},
			false,
		},
		{"nothing known", media.Track{Codec: media.CodecH265}, media.Track{}, false},
		{"gortsplib#402: not an SPS", media.Track{Codec: media.CodecH264, SPS: []byte{0x68, 1, 2}}, media.Track{}, true},
		{
			"AAC-LC",
			media.Track{Codec: media.CodecAAC, AudioConfig: unhex(t, "1190")},
			media.Track{SampleRate: 48000, Channels: 2},
			false,
		},
		{"AAC with half a configuration", media.Track{Codec: media.CodecAAC, AudioConfig: []byte{0x11}}, media.Track{}, true},
		{"Opus", media.Track{Codec: media.CodecOpus}, media.Track{SampleRate: 48000}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Describe(tc.track)
			if (err != nil) != tc.fails {
				t.Errorf("error %v", err)
			}
			w := tc.want
			if got.Width != w.Width || got.Height != w.Height || got.FrameRate != w.FrameRate || got.Reorder != w.Reorder ||
				got.SampleRate != w.SampleRate || got.Channels != w.Channels {
				t.Errorf("got %+v, want %+v", got, w)
			}
		})
	}
}

func TestUpdateParams(t *testing.T) {
	high, base, pps := unhex(t, spsHigh), unhex(t, spsBaseline), unhex(t, ppsHigh)
	pps1 := []byte{0x68, 0x5b, 0x83, 0xcb} // pic_parameter_set_id 1
	pps0 := []byte{0x68, 0xcb, 0x83, 0xcb} // id 0, other content
	slice := []byte{0x65, 0x88}
	for _, tc := range []struct {
		name     string
		sps, pps []byte
		nals     [][]byte
		wantSPS  []byte
		wantPPS  []byte
		fails    bool
	}{
		{"the same again", high, pps, [][]byte{high, pps, slice}, high, pps, false},
		{"none in band", high, pps, [][]byte{slice}, high, pps, false},
		{"first seen in band", nil, nil, [][]byte{high, pps, slice}, high, pps, false},
		{"another SPS", base, pps, [][]byte{high, slice}, high, pps, false},
		{"another PPS of the same id", high, pps, [][]byte{pps0, slice}, high, pps0, false},
		{"a second PPS of another id is left alone", high, pps, [][]byte{high, pps, pps1, slice}, high, pps, false},
		{"the only PPS has another id", high, pps, [][]byte{pps1, slice}, high, pps1, false},
		{"an SPS that cannot be parsed", high, pps, [][]byte{{0x67, 1}, pps0, slice}, high, pps0, true},
		{"in band is right where the SDP was wrong", []byte{0x67, 9}, pps, [][]byte{high, pps, slice}, high, pps, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old := &media.Track{ID: 3, Codec: media.CodecH264, SPS: tc.sps, PPS: tc.pps}
			nt, changed, err := UpdateParams(old, tc.nals)
			if (err != nil) != tc.fails {
				t.Errorf("error %v", err)
			}
			if !bytes.Equal(nt.SPS, tc.wantSPS) || !bytes.Equal(nt.PPS, tc.wantPPS) || nt.ID != 3 {
				t.Errorf("SPS %x, PPS %x; want %x, %x", nt.SPS, nt.PPS, tc.wantSPS, tc.wantPPS)
			}
			same := bytes.Equal(tc.sps, tc.wantSPS) && bytes.Equal(tc.pps, tc.wantPPS)
			if changed == same || (nt == old) != same {
				t.Errorf("changed %v, same track %v", changed, nt == old)
			}
			if changed && nt.Width != 320 {
				t.Errorf("the new track is not described: %+v", nt)
			}
			if !bytes.Equal(old.SPS, tc.sps) || !bytes.Equal(old.PPS, tc.pps) {
				t.Error("the old track was written to")
			}
		})
	}
}

func TestUpdateParamsKeepsNothingOfItsInput(t *testing.T) {
	nal := unhex(t, spsHigh)
	nt, _, _ := UpdateParams(&media.Track{Codec: media.CodecH264}, [][]byte{nal})
	clear(nal)
	if !bytes.Equal(nt.SPS, unhex(t, spsHigh)) {
		t.Error("the track aliases the access unit")
	}
}

func TestUpdateParamsAllocatesNothingWhenNothingChanges(t *testing.T) {
	nals := [][]byte{unhex(t, spsHigh), unhex(t, ppsHigh), {0x65, 0x88}}
	track := &media.Track{Codec: media.CodecH264, SPS: nals[0], PPS: nals[1]}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = UpdateParams(track, nals) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFrameNumOfX264 follows frame_num through a stream with B-frames: it rises
// by one after each picture that is referred to.
func TestFrameNumOfX264(t *testing.T) {
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=4",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-b_strategy", "0", "-g", "25", "-f", "h264", "-").Output()
	if err != nil {
		t.Fatalf("cannot run ffmpeg: %v", err)
	}
	var bits, pictures int
	var last uint32
	var lastRef bool
	for _, nal := range SplitAnnexB(nil, out) {
		if which, ok := ParameterSet(media.CodecH264, nal); ok && which == SPS {
			v, err := ParseSPS(media.CodecH264, nal)
			if err != nil {
				t.Fatal(err)
			}
			bits = v.FrameNumBits
		}
		if !IsVCL(media.CodecH264, nal) {
			continue
		}
		num, ref, ok := FrameNum(nal, bits)
		want := last
		if lastRef {
			want = (want + 1) & (1<<bits - 1)
		}
		if IsKey(media.CodecH264, nal) {
			want = 0
		}
		if !ok || num != want {
			t.Fatalf("picture %d: frame_num %d, %v; want %d", pictures, num, ok, want)
		}
		last, lastRef = num, ref
		pictures++
	}
	if pictures != 100 {
		t.Errorf("%d pictures, want 100", pictures)
	}
}

func TestNALUnits(t *testing.T) {
	const h264, h265 = media.CodecH264, media.CodecH265
	for _, tc := range []struct {
		name   string
		codec  media.Codec
		nal    []byte
		class  Class
		key    bool
		starts bool
		sei    bool
	}{
		{"H.264 IDR", h264, []byte{0x65, 0x88}, Slice, true, true, false},
		{"H.264 later slice", h264, []byte{0x41, 0x48}, Slice, false, false, false},
		{"H.264 data partition B", h264, []byte{0x43, 0x88}, Slice, false, false, false},
		{"H.264 SEI", h264, []byte{6, 1}, Prefix, false, false, true},
		{"H.264 delimiter", h264, []byte{9, 0xf0}, Delimiter, false, false, false},
		{"H.264 filler", h264, []byte{12, 0xff}, Filler, false, false, false},
		{"H.264 RTP type 24", h264, []byte{24}, Other, false, false, false},
		{"H.265 IDR", h265, []byte{0x26, 1, 0x80}, Slice, true, true, false},
		{"H.265 CRA", h265, []byte{0x2a, 1, 0x80}, Slice, true, true, false},
		{"H.265 trailing, later segment", h265, []byte{0x02, 1, 0x40}, Slice, false, false, false},
		{"H.265 suffix SEI", h265, []byte{0x50, 1}, Suffix, false, false, true},
		{"H.265 reserved IRAP 22", h265, []byte{0x2c, 1, 0x80}, Other, false, false, false},
		{"H.265 header cut", h265, []byte{0x26}, Other, false, false, false},
		{"nothing", h264, nil, Other, false, false, false},
		{"audio", media.CodecAAC, []byte{0x65, 0x88}, Other, false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ClassOf(tc.codec, tc.nal); got != tc.class {
				t.Errorf("class %d, want %d", got, tc.class)
			}
			key, starts, sei := IsKey(tc.codec, tc.nal), StartsPicture(tc.codec, tc.nal), IsSEI(tc.codec, tc.nal)
			if key != tc.key || starts != tc.starts || sei != tc.sei {
				t.Errorf("key %v, starts %v, SEI %v", key, starts, sei)
			}
		})
	}
}
