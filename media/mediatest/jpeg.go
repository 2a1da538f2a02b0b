package mediatest

import (
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"

	"camrelay/media"
)

// JPEGPackets returns a picture as a camera sends it in an MJPEG track, one
// entry for each packet, stamped ts. Its sequence numbers begin at the low half
// of ts.
func JPEGPackets(tb testing.TB, t *media.Track, picture []byte, ts uint32) []media.Packets {
	tb.Helper()
	ssrc, seq := uint32(1000+t.ID), uint16(ts)
	e := &rtpmjpeg.Encoder{SSRC: &ssrc, InitialSequenceNumber: &seq, PayloadMaxSize: payloadSize}
	if err := e.Init(); err != nil {
		tb.Fatal(err)
	}
	pkts, err := e.Encode(picture)
	if err != nil {
		tb.Fatalf("cannot packetise a picture: %v", err)
	}
	all := make([]media.Packets, len(pkts))
	for i, pkt := range pkts {
		pkt.Timestamp = ts
		raw, err := pkt.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = media.Packets{
			Track: t, Wire: media.AppendWire(nil, 2*t.ID, raw), N: 1, Wall: time.Now(), Key: i == 0,
		}
	}
	return all
}
