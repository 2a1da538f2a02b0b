package hlscheck

import (
	"testing"

	"camrelay/media"
)

func FuzzMedia(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x10moof\x00\x00\x00\x08traf"))
	f.Add([]byte("\x00\x00\x00\x08mdat\x00\x00\x00\x07moof"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := parseInit(b); err == nil && len(all) == 0 {
			t.Error("an init segment without tracks")
		}
		tracks := map[uint32]track{1: {codec: media.CodecH264, video: true, scale: 90000}, 2: {scale: 48000}}
		runs, err := parseMedia(tracks, b)
		if err == nil && len(runs) == 0 {
			t.Error("a part without media")
		}
	})
}
