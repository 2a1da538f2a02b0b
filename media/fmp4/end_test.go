package fmp4_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/fmp4"
	"camrelay/media/mediatest"
)

// TestEnd holds what is read of fragments against the units of which they were
// made, and against what their Muxer tells.
func TestEnd(t *testing.T) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.AAC} {
		clip := mediatest.MakeClip(t, kind)
		m := fmp4.NewMuxer(clip.Tracks)
		var all []byte
		want := time.Duration(0)
		for i, u := range clip.Units(99) {
			if i%20 == 0 {
				m.Shift += time.Second // as after an outage
				if bufs, _ := m.Flush(nil, nil); i > 0 {
					all = append(all, bytes.Join(bufs, nil)...)
				}
			}
			m.Add(u)
			frame := 40 * time.Millisecond
			if u.Track.Kind == media.KindAudio {
				frame = 1024 * time.Second / 48000
			}
			want = max(want, u.PTS+m.Shift+frame)
		}
		bufs, _ := m.Flush(nil, nil)
		all = append(all, bytes.Join(bufs, nil)...)
		end, err := fmp4.End(bytes.NewReader(all), int64(len(all)), clip.Tracks)
		if err != nil || (end-want).Abs() > 50*time.Microsecond || end != m.End() {
			t.Errorf("%s ends at %v, %v; the Muxer tells %v, want %v", kind, end, err, m.End(), want)
		}
	}
}

func TestEndOfNonsense(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	good := fragments(t, clip.Tracks, clip.Units(40), 20)
	moof := int(binary.BigEndian.Uint32(good))
	edit := func(f func(b []byte)) []byte { return edited(good, f) }
	for _, tc := range []struct {
		name   string
		data   []byte
		tracks []*media.Track
	}{
		{"a track that is not described", good, clip.Tracks[:1]},
		{"a track without a time scale", good, []*media.Track{clip.Tracks[0], {Kind: media.KindAudio}}},
		{"a fragment that is cut off", good[:len(good)-1], clip.Tracks},
		{"a moof that is cut off", good[:moof/2], clip.Tracks},
		{"another box in the place of mfhd", edit(func(b []byte) { copy(b[12:], "free") }), clip.Tracks},
		{"another box in the place of traf", edit(func(b []byte) { copy(b[28:], "free") }), clip.Tracks},
		{"another box in the place of trun", edit(func(b []byte) { copy(b[8+16+8+20+20+4:], "free") }), clip.Tracks},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if end, err := fmp4.End(bytes.NewReader(tc.data), int64(len(tc.data)), tc.tracks); err == nil {
				t.Errorf("it ends at %v", end)
			}
		})
	}
}
