package codec

import (
	"bytes"
	"strings"
	"testing"

	"camrelay/media"
)

// FuzzParams parses what claims to be a parameter set.
func FuzzParams(f *testing.F) {
	for _, s := range []string{spsHigh, ppsHigh, spsBaseline, vpsMain, spsMain, ppsMain} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		for _, c := range []media.Codec{media.CodecH264, media.CodecH265} {
			v, err := ParseSPS(c, b)
			if err == nil && (v.Width <= 0 || v.Height <= 0 || v.Depth < UnknownDepth || v.Depth > maxReorder ||
				v.FrameRate < 0 || v.FrameRate > maxFrameRate || v.FrameNumBits < 0) {
				t.Errorf("%s: %+v", c, v)
			}
			old := &media.Track{Codec: c}
			nt, changed, _ := UpdateParams(old, [][]byte{b})
			if changed == (nt == old) {
				t.Errorf("%s: changed %v, same track %v", c, changed, nt == old)
			}
			if again, changed, _ := UpdateParams(nt, [][]byte{b}); changed {
				t.Errorf("%s: the same set changes the track twice: %+v, %+v", c, nt, again)
			}
			if s := String(&media.Track{Codec: c, SPS: b}); strings.ContainsAny(s, " \",\n") {
				t.Errorf("%s: %q", c, s)
			}
			if num, _, ok := FrameNum(b, 9); ok && num >= 1<<9 {
				t.Errorf("frame_num %d", num)
			}
			StartsPicture(c, b)
		}
		if !bytes.Equal(b, before) {
			t.Error("the input was written to")
		}
	})
}

// FuzzAudio parses what claims to be an AudioSpecificConfig.
func FuzzAudio(f *testing.F) {
	f.Add([]byte{0x11, 0x90})
	f.Add([]byte{0x2b, 0x8a, 0x08, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAudio(b)
		if err == nil && (a.SampleRate <= 0 || a.Channels <= 0 || a.Samples <= 0) {
			t.Errorf("%+v", a)
		}
	})
}

// FuzzAnnexB splits a byte stream and puts it together again.
func FuzzAnnexB(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x67\x01\x00\x00\x01\x68\x02\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		nals := SplitAnnexB(nil, b)
		again := SplitAnnexB(nil, AppendAnnexB(nil, nals))
		if len(again) != len(nals) {
			t.Fatalf("%d NAL units became %d", len(nals), len(again))
		}
		for i := range nals {
			if len(nals[i]) == 0 || !bytes.Equal(nals[i], again[i]) {
				t.Errorf("NAL unit %d: %x became %x", i, nals[i], again[i])
			}
		}
	})
}
