package depay_test

import (
	"testing"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/mediatest"
	"camrelay/media/timeline"
)

// entries returns one round of a clip as entries of a packet log.
func entries(b *testing.B, kind mediatest.Kind) (c *mediatest.Clip, ps []media.Packets, bytes, packets int) {
	b.Helper()
	c = mediatest.MakeClip(b, kind)
	p := mediatest.NewPacketizer(b, c.Tracks)
	for _, u := range c.Units(c.Round()) {
		u.Wall = begin.Add(u.DTS)
		pk, err := p.Packets(u)
		if err != nil {
			b.Fatal(err)
		}
		ps = append(ps, pk)
		bytes += len(pk.Wire)
		packets += pk.N
	}
	return c, ps, bytes, packets
}

// BenchmarkAssembler is the way of one clip from packets to units.
func BenchmarkAssembler(b *testing.B) {
	for _, kind := range []mediatest.Kind{mediatest.H264AAC, mediatest.H264B, mediatest.H265AAC} {
		b.Run(string(kind), func(b *testing.B) {
			c, ps, bytes, packets := entries(b, kind)
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			var out []*media.Unit
			units := 0
			for b.Loop() {
				a, err := depay.NewAssembler(c.Tracks, timeline.New())
				if err != nil {
					b.Fatal(err)
				}
				out = out[:0]
				for _, p := range ps {
					out = a.Packets(p, out)
				}
				units += len(out)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(units), "ns/unit")
			b.ReportMetric(float64(packets)/float64(c.Round()), "packets/unit")
			b.ReportMetric(float64(c.Round()), "units/op")
		})
	}
}

// BenchmarkPeek is the look at one packet.
func BenchmarkPeek(b *testing.B) {
	for _, kind := range []mediatest.Kind{mediatest.H264, mediatest.H265AAC} {
		b.Run(string(kind), func(b *testing.B) {
			_, ps, _, packets := entries(b, kind)
			b.ReportAllocs()
			starts := 0
			for b.Loop() {
				for i := range ps {
					for p := range ps[i].RTP() {
						if depay.Peek(ps[i].Track.Codec, p).Start {
							starts++
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(packets), "ns/packet")
		})
	}
}
