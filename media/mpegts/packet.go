package mpegts

import (
	"encoding/binary"
	"slices"
)

// Parts of a transport packet. Specification: ISO 13818-1 2.4.3.2.
const (
	syncByte     = 0x47
	headerSize   = 4
	payloadSize  = PacketSize - headerSize
	startFlag    = 0x40 // payload_unit_start_indicator
	payloadOnly  = 0x10
	adaptation   = 0x20
	discontinued = 0x80 // discontinuity_indicator
	randomAccess = 0x40
	hasPCR       = 0x10
)

// counter is the continuity counter of one PID.
type counter struct {
	pid uint16
	n   byte // of the next packet with payload
}

// header appends a packet header. flags are payloadOnly and adaptation.
func (c *counter) header(b []byte, start bool, flags byte) []byte {
	hi := byte(c.pid >> 8)
	if start {
		hi |= startFlag
	}
	n := c.n
	if flags&payloadOnly != 0 {
		c.n = (n + 1) & 15
	} else { // a packet without payload does not count
		n = (n - 1) & 15
	}
	return append(b, syncByte, hi, byte(c.pid), flags|n)
}

// field is what the first packet of a PES says in its adaptation field.
type field struct {
	pcr          int64 // 27 MHz, < 0: none
	random       bool
	discontinued bool
}

// size returns the bytes of the field with its length byte, 0 if there is
// nothing to say.
func (f field) size() int {
	switch {
	case f.pcr >= 0:
		return 8
	case f.random, f.discontinued:
		return 2
	}
	return 0
}

// appendTo appends the field's flags and PCR, without its length.
func (f field) appendTo(b []byte) []byte {
	flags := byte(0)
	if f.discontinued {
		flags |= discontinued
	}
	if f.random {
		flags |= randomAccess
	}
	if f.pcr < 0 {
		return append(b, flags)
	}
	base, ext := f.pcr/300, f.pcr%300
	return append(b, flags|hasPCR, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1),
		byte(base<<7)|0x7e|byte(ext>>8), byte(ext))
}

// packetCount returns how many packets a payload of size bytes takes with f
// in the first of them.
func packetCount(size int, f field) int { return (f.size() + size + payloadSize - 1) / payloadSize }

// packets appends size bytes of parts as the payload of as many packets as
// needed; f goes into the first, the last is stuffed.
func (c *counter) packets(b []byte, parts [][]byte, size int, f field) []byte {
	src := source{rest: parts}
	room := payloadSize - f.size()
	n := min(size, room)
	switch stuff := room - n; {
	case f.size() > 0:
		b = c.header(b, true, payloadOnly|adaptation)
		b = append(b, byte(f.size()-1+stuff))
		b = stuffing(f.appendTo(b), stuff)
	default:
		b = c.stuffed(b, true, stuff)
	}
	b = src.appendTo(b, n)
	left := size - n
	for left > 0 {
		if whole := min(left, len(src.cur)) / payloadSize; whole > 0 {
			b = c.full(b, src.cur[:whole*payloadSize])
			src.cur = src.cur[whole*payloadSize:]
			left -= whole * payloadSize
			continue
		}
		n = min(left, payloadSize)
		b = c.stuffed(b, false, payloadSize-n)
		b = src.appendTo(b, n)
		left -= n
	}
	return b
}

// full appends packets that hold nothing but payload, a multiple of
// payloadSize. Nearly all packets are such.
func (c *counter) full(b, payload []byte) []byte {
	head := uint32(syncByte)<<24 | uint32(c.pid)<<8 | payloadOnly
	at := len(b)
	b = slices.Grow(b, len(payload)/payloadSize*PacketSize)[:at+len(payload)/payloadSize*PacketSize]
	for out := b[at:]; len(payload) > 0; out, payload = out[PacketSize:], payload[payloadSize:] {
		binary.BigEndian.PutUint32(out, head|uint32(c.n))
		copy(out[headerSize:PacketSize], payload[:payloadSize])
		c.n = (c.n + 1) & 15
	}
	return b
}

// stuffed appends a header and, if stuff > 0, an adaptation field of stuff
// bytes that says nothing.
func (c *counter) stuffed(b []byte, start bool, stuff int) []byte {
	if stuff == 0 {
		return c.header(b, start, payloadOnly)
	}
	b = append(c.header(b, start, payloadOnly|adaptation), byte(stuff-1))
	if stuff == 1 {
		return b
	}
	return stuffing(append(b, 0), stuff-2)
}

// clock appends a packet that holds nothing but a PCR.
func (c *counter) clock(b []byte, pcr int64) []byte {
	f := field{pcr: pcr}
	b = append(c.header(b, false, adaptation), payloadSize-1)
	return stuffing(f.appendTo(b), payloadSize-f.size())
}

func stuffing(b []byte, n int) []byte {
	for range n {
		b = append(b, 0xff)
	}
	return b
}

// source reads slices one after the other.
type source struct {
	cur  []byte
	rest [][]byte
}

func (s *source) appendTo(b []byte, n int) []byte {
	for n > 0 {
		for len(s.cur) == 0 {
			s.cur, s.rest = s.rest[0], s.rest[1:]
		}
		k := min(n, len(s.cur))
		b = append(b, s.cur[:k]...)
		s.cur = s.cur[k:]
		n -= k
	}
	return b
}

// AppendNull appends a null packet, which receivers skip.
func AppendNull(b []byte) []byte {
	return stuffing(append(b, syncByte, 0x1f, 0xff, payloadOnly), payloadSize)
}
