package audio

import (
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// BenchmarkPass passes video and AAC on: an operation is a unit.
func BenchmarkPass(b *testing.B) {
	for name, m := range map[string]Mode{"auto": {Policy: Auto}, "needed": {Policy: Auto, Needed: true}} {
		b.Run(name, func(b *testing.B) {
			s := hub.NewStream("cam")
			defer s.Close()
			s.SetTracks(tracks(video, aac48))
			w := benchWeaver(s, m)
			pictures := make([]*media.Unit, 1000)
			for i := range pictures {
				pictures[i] = &media.Unit{Track: video, Key: i%50 == 0, Data: [][]byte{make([]byte, 1)}}
				if i%2 == 1 {
					pictures[i] = &media.Unit{Track: aac48, Data: [][]byte{make([]byte, 1)}}
				}
				pictures[i].DTS = time.Duration(i) * 20 * time.Millisecond
				pictures[i].PTS = pictures[i].DTS
			}
			r := w.stream.Units.Reader("r", hub.Live)
			defer r.Close()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				u := pictures[i%1000]
				if i%1000 == 0 { // time does not fall
					w.filler = filler{}
					w.filler.adopt(w.plan)
				}
				w.take(b.Context(), pictures[i%1000:i%1000+1], true)
				if len(w.out) != 1 || w.out[0] != u {
					b.Fatalf("%d units came out, the first %v", len(w.out), w.out[0])
				}
				w.stream.Units.Append(w.out...)
				w.out = w.out[:0]
			}
		})
	}
}

// benchWeaver returns what fills a view of s.
func benchWeaver(s *hub.Stream, m Mode) *weaver {
	v := &view{parent: s, mode: m}
	w := &weaver{v: v, stream: hub.NewStream("view")}
	w.plan = v.follow(nil)
	w.filler.adopt(w.plan)
	return w
}
