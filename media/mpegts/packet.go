package mpegts

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
	n   byte
}

// header appends a packet header. flags are payloadOnly and adaptation.
func (c *counter) header(b []byte, start bool, flags byte) []byte {
	hi := byte(c.pid >> 8)
	if start {
		hi |= startFlag
	}
	b = append(b, syncByte, hi, byte(c.pid), flags|c.n)
	c.n = (c.n + 1) & 15
	return b
}

// field is what the first packet of a PES says in its adaptation field.
type field struct {
	pcr          int64 // 27 MHz, < 0: none
	random       bool
	discontinued bool
}

func (f field) empty() bool { return f.pcr < 0 && !f.random && !f.discontinued }

// appendTo appends the field's flags and PCR, without its length.
func (f field) appendTo(b []byte) []byte {
	if f.empty() {
		return b
	}
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

// packets appends head and then parts as the payload of as many packets as
// needed; f goes into the first, the last is stuffed.
func (c *counter) packets(b, head []byte, parts [][]byte, f field) []byte {
	left := len(head)
	for _, p := range parts {
		left += len(p)
	}
	src := source{cur: head, rest: parts}
	for first := true; left > 0; first = false {
		room := payloadSize
		var fill [8]byte
		af := fill[:0]
		if first {
			af = f.appendTo(af)
		}
		if len(af) > 0 {
			room -= 1 + len(af)
		}
		n := min(left, room)
		stuff := room - n
		if len(af) == 0 && stuff == 0 {
			b = c.header(b, first, payloadOnly)
		} else {
			b = c.header(b, first, payloadOnly|adaptation)
			b = stuffed(b, af, stuff)
		}
		b = src.appendTo(b, n)
		left -= n
	}
	return b
}

// stuffed appends an adaptation field of which stuff bytes, its length byte
// included where af is empty, are stuffing.
func stuffed(b, af []byte, stuff int) []byte {
	if len(af) == 0 {
		stuff-- // the length byte
		if stuff == 0 {
			return append(b, 0)
		}
		b = append(b, byte(stuff), 0)
		stuff--
	} else {
		b = append(b, byte(len(af)+stuff))
		b = append(b, af...)
	}
	for range stuff {
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
	b = append(b, syncByte, 0x1f, 0xff, payloadOnly)
	for range payloadSize {
		b = append(b, 0xff)
	}
	return b
}
