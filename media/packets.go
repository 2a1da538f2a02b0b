package media

import (
	"encoding/binary"
	"iter"
	"time"
)

// InterleavedHeader is the size of the header before each RTP packet in
// Packets.Wire: '$', channel, 16-bit length (RFC 2326 §10.12).
const InterleavedHeader = 4

// Packets is a run of whole RTP packets of one track, one or more, of one RTP
// timestamp, exactly as they arrived. It is the entry of the packet log: a
// viewer over TCP writes Wire with one call, whatever the number of packets.
//
// Wire holds interleaved frames (RFC 2326 §10.12) whose channel is
// 2 × Track.ID. Sequence numbers, timestamps and SSRC are the camera's own
// for its first connection; later connections are shifted by constants so
// that each track runs on without a seam.
type Packets struct {
	Track *Track
	Wire  []byte    // interleaved frames; shared by all readers, never written again
	N     int       // number of packets in Wire, ≥ 1
	Wall  time.Time // arrival of the first byte by the box's clock, with its monotonic reading
	Key   bool      // a viewer may start here: the first packets of a key frame or its parameter sets
	Gap   bool      // first of its track after loss or reconnect
}

// RTP yields each RTP packet in Wire, header included, as a slice of Wire with
// its capacity cut to its length.
func (p *Packets) RTP() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for w := p.Wire; len(w) >= InterleavedHeader; {
			n := InterleavedHeader + int(binary.BigEndian.Uint16(w[2:]))
			if n > len(w) || !yield(w[InterleavedHeader:n:n]) {
				return
			}
			w = w[n:]
		}
	}
}

// Timestamp returns the RTP timestamp of the first packet.
func (p *Packets) Timestamp() uint32 {
	return binary.BigEndian.Uint32(p.Wire[InterleavedHeader+4:])
}

// Sequence returns the RTP sequence number of the first packet.
func (p *Packets) Sequence() uint16 {
	return binary.BigEndian.Uint16(p.Wire[InterleavedHeader+2:])
}

// SSRC returns the synchronisation source of the first packet.
func (p *Packets) SSRC() uint32 {
	return binary.BigEndian.Uint32(p.Wire[InterleavedHeader+8:])
}

// AppendWire appends one RTP packet to b as an interleaved frame of the given
// channel and returns the longer slice. len(packet) must be below 65536.
func AppendWire(b []byte, channel int, packet []byte) []byte {
	b = append(b, '$', byte(channel), byte(len(packet)>>8), byte(len(packet)))
	return append(b, packet...)
}
