// Package mpegts turns units into an MPEG transport stream: PAT, PMT and PES
// packets with 90 kHz time stamps. It is pure: no goroutine, no I/O, no hub.
// A Muxer belongs to one goroutine.
//
// # Why
//
// gomedia's muxer takes milliseconds and so moves each picture by up to half a
// millisecond; here stamps are exact to the tick, and a unit costs one
// allocation and one copy.
//
// Specification: ISO 13818-1; Opus: "TS Opus 0.1.3"; ADTS: ISO 13818-7 6.2.
package mpegts

import (
	"time"

	"camrelay/media"
)

// PacketSize is the size of a transport stream packet.
const PacketSize = 188

// Chunk is a stretch of the transport stream: the whole packets of one unit,
// and before them the tables and the clock where they are due.
type Chunk struct {
	Data []byte    // a multiple of PacketSize; shared, never written again
	Key  bool      // begins with the tables, then a unit at which a receiver may start
	Wall time.Time // arrival of the unit by the box's clock, with its monotonic reading

	Track    *media.Track  // of the unit
	PTS, DTS time.Duration // of the unit; stream time, not that of the stamps
	Gap      bool          // of the unit
}

// Carries tells whether a track can be carried: H.264, H.265, Opus, and AAC
// that has an ADTS form.
func Carries(t *media.Track) bool {
	switch t.Codec {
	case media.CodecH264, media.CodecH265:
		return true
	case media.CodecAAC:
		_, ok := newADTS(t.AudioConfig)
		return ok
	case media.CodecOpus:
		return t.Channels <= maxOpusChannels
	}
	return false
}

// Tables returns the tables with which the chunk begins, nil if it does not.
func (c *Chunk) Tables() []byte {
	const both = 2 * PacketSize // the PAT and the PMT, a packet each
	if len(c.Data) < both || c.Data[1]&0x1f != 0 || c.Data[2] != pidPAT {
		return nil
	}
	return c.Data[:both:both]
}
