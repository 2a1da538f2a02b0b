package feed

import (
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/mediatest"
)

// BenchmarkFLV makes entries of 2 s of a camera of 4 Mbit/s with sound per op:
// all that is done once for all readers.
func BenchmarkFLV(b *testing.B) {
	clip := mediatest.MakeClip(b, mediatest.H264AAC)
	const length = 2 * time.Second
	var rounds [2][]*media.Unit // in turns, since the muxer keeps a few units
	size := 0
	for i := range rounds {
		for _, u := range clip.Until(length) {
			if u.Track.Kind == media.KindVideo && !u.Key {
				u.Data = [][]byte{append([]byte{0x41, 0x9a}, make([]byte, 20000)...)}
			}
			u.PTS += time.Duration(i) * length
			u.DTS += time.Duration(i) * length
			rounds[i] = append(rounds[i], u)
			size += u.Size() * (1 - i)
		}
	}
	video, audio, _ := flv.Choose(clip.Tracks, 0)
	f := newFramer(flv.Config{Video: video, Audio: audio, Open: true})
	var out []Tag
	n := 0
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, u := range rounds[n&1] {
			out = f.tags(u, out[:0])
			u.PTS += 2 * length
			u.DTS += 2 * length
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rounds[0])), "ns/unit")
	b.ReportMetric(float64(len(rounds[0])), "units/op")
}
