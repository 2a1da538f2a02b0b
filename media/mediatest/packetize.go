package mediatest

import (
	"fmt"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpsimpleaudio"
	"github.com/pion/rtp"

	"camrelay/media"
)

// payloadSize is that of cameras on Ethernet.
const payloadSize = 1400

// Packetizer turns units into RTP packets as a well-behaved camera sends them,
// with gortsplib's encoders. It belongs to one goroutine.
type Packetizer struct {
	encoders []func(data [][]byte) ([]*rtp.Packet, error) // by track ID
}

// NewPacketizer returns a packetizer for the tracks. Sequence numbers begin at
// 65500, SSRCs are 1000 plus the track's ID.
func NewPacketizer(tb testing.TB, tracks []*media.Track) *Packetizer {
	tb.Helper()
	p := &Packetizer{}
	for _, t := range tracks {
		encode, err := newEncoder(t)
		if err != nil {
			tb.Fatalf("cannot packetise track %d: %v", t.ID, err)
		}
		p.encoders = append(p.encoders, encode)
	}
	return p
}

func newEncoder(t *media.Track) (func([][]byte) ([]*rtp.Packet, error), error) {
	ssrc, seq := uint32(1000+t.ID), uint16(65500)
	switch t.Codec {
	case media.CodecH264:
		e := &rtph264.Encoder{
			PayloadType: t.PayloadType, SSRC: &ssrc, InitialSequenceNumber: &seq,
			PayloadMaxSize: payloadSize, PacketizationMode: 1,
		}
		return e.Encode, e.Init()
	case media.CodecH265:
		e := &rtph265.Encoder{
			PayloadType: t.PayloadType, SSRC: &ssrc, InitialSequenceNumber: &seq, PayloadMaxSize: payloadSize,
		}
		return e.Encode, e.Init()
	case media.CodecAAC:
		e := &rtpmpeg4audio.Encoder{
			PayloadType: t.PayloadType, SSRC: &ssrc, InitialSequenceNumber: &seq,
			PayloadMaxSize: payloadSize, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
		}
		return e.Encode, e.Init()
	case media.CodecOpus:
		e := &rtpsimpleaudio.Encoder{
			PayloadType: t.PayloadType, SSRC: &ssrc, InitialSequenceNumber: &seq, PayloadMaxSize: payloadSize,
		}
		return func(data [][]byte) ([]*rtp.Packet, error) {
			pkt, err := e.Encode(data[0])
			return []*rtp.Packet{pkt}, err
		}, e.Init()
	}
	return nil, fmt.Errorf("no encoder of %s", t.Codec)
}

// RTP returns the packets of a unit, stamped with its PTS in ticks of the
// track's clock plus offset.
func (p *Packetizer) RTP(u *media.Unit, offset uint32) ([]*rtp.Packet, error) {
	pkts, err := p.encoders[u.Track.ID](u.Data)
	if err != nil {
		return nil, fmt.Errorf("cannot packetise unit at %v: %w", u.PTS, err)
	}
	ts := uint32(media.ToTicks(u.PTS, u.Track.ClockRate)) + offset
	for _, pkt := range pkts {
		pkt.Timestamp += ts
	}
	return pkts, nil
}

// Packets returns the packets of a unit as an entry of a packet log.
func (p *Packetizer) Packets(u *media.Unit) (media.Packets, error) {
	pkts, err := p.RTP(u, 0)
	if err != nil {
		return media.Packets{}, err
	}
	out := media.Packets{Track: u.Track, N: len(pkts), Wall: u.Wall, Key: u.Key, Gap: u.Gap}
	for _, pkt := range pkts {
		b, err := pkt.Marshal()
		if err != nil {
			return media.Packets{}, fmt.Errorf("cannot packetise unit at %v: %w", u.PTS, err)
		}
		out.Wire = media.AppendWire(out.Wire, 2*u.Track.ID, b)
	}
	return out, nil
}
