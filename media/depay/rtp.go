package depay

import (
	"encoding/binary"
	"errors"

	"camrelay/media"
)

// header is what is used of an RTP header (RFC 3550 §5.1).
type header struct {
	seq    uint16
	ts     uint32
	ssrc   uint32
	marker bool
}

// errHeader reports an RTP header that is cut short or not of version 2.
var errHeader = errors.New("malformed RTP header")

// parse splits an RTP packet into its header and its payload, without padding
// and header extension.
func parse(b []byte) (h header, payload []byte, err error) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return header{}, nil, errHeader
	}
	h = header{
		marker: b[1]&0x80 != 0,
		seq:    binary.BigEndian.Uint16(b[2:]),
		ts:     binary.BigEndian.Uint32(b[4:]),
		ssrc:   binary.BigEndian.Uint32(b[8:]),
	}
	n := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return header{}, nil, errHeader
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if len(b) < n {
		return header{}, nil, errHeader
	}
	payload = b[n:]
	if b[0]&0x20 != 0 && len(payload) > 0 {
		pad := int(payload[len(payload)-1])
		if pad == 0 || pad > len(payload) {
			return header{}, nil, errHeader
		}
		payload = payload[:len(payload)-pad]
	}
	return h, payload, nil
}

// shape is how a payload carries NAL units.
type shape uint8

const (
	single   shape = iota // one NAL unit
	several               // an aggregate
	fragment              // a part of one
	wrapped               // PACI of H.265
	unknown
)

// layout is where the NAL units of a payload lie.
type layout struct {
	shape      shape
	body       []byte // what follows the payload's own headers
	don        int    // bytes of decoding order number before the first NAL unit of an aggregate
	donDelta   int    // and before the others
	offset     int    // bytes of time stamp offset before each
	start, end bool   // of a fragment
	nal        [2]byte
	nalLen     int // bytes of nal: the header of a fragmented NAL unit
}

// layoutOf reads the payload headers of RFC 6184 §5.6–5.8 and RFC 7798 §4.4.
// don tells whether H.265 payloads carry decoding order numbers.
func layoutOf(c media.Codec, p []byte, don bool) layout {
	if c == media.CodecH265 {
		return layoutH265(p, don)
	}
	return layoutH264(p)
}

func layoutH264(p []byte) layout {
	if len(p) < 1 {
		return layout{shape: unknown}
	}
	const stapA, stapB, mtap16, mtap24, fuA, fuB = 24, 25, 26, 27, 28, 29
	switch t := p[0] & 0x1f; t {
	case stapA:
		return layout{shape: several, body: p[1:]}
	case stapB, mtap16, mtap24:
		if len(p) < 3 {
			return layout{shape: unknown}
		}
		l := layout{shape: several, body: p[3:]} // behind the DON or its base
		if t != stapB {
			l.offset = int(t-mtap16) + 2
			l.don, l.donDelta = 1, 1
		}
		return l
	case fuA, fuB:
		if len(p) < 2 {
			return layout{shape: unknown}
		}
		l := layout{
			shape: fragment, body: p[2:], start: p[1]&0x80 != 0, end: p[1]&0x40 != 0,
			nal: [2]byte{p[0]&0xe0 | p[1]&0x1f}, nalLen: 1,
		}
		if t == fuB {
			l.body = l.body[min(2, len(l.body)):]
		}
		return l
	}
	return layout{shape: single, body: p}
}

func layoutH265(p []byte, don bool) layout {
	if len(p) < 3 {
		return layout{shape: unknown}
	}
	const ap, fu, paci = 48, 49, 50
	switch p[0] >> 1 & 0x3f {
	case ap:
		l := layout{shape: several, body: p[2:]}
		if don {
			l.don, l.donDelta = 2, 1
		}
		return l
	case fu:
		l := layout{
			shape: fragment, body: p[3:], start: p[2]&0x80 != 0, end: p[2]&0x40 != 0,
			nal: [2]byte{p[0]&0x81 | p[2]&0x3f<<1, p[1]}, nalLen: 2,
		}
		if don && l.start {
			l.body = l.body[min(2, len(l.body)):]
		}
		return l
	case paci:
		return layout{shape: wrapped, body: p}
	}
	if don && len(p) > 4 {
		return layout{shape: single, body: p, don: 2}
	}
	return layout{shape: single, body: p}
}

// next takes the next NAL unit from an aggregate: rest is what follows it, nil
// at the end. ok is false where the lengths do not add up; all-zero bytes at
// the end are padding.
func (l *layout) next(first bool) (nal []byte, offset uint32, ok bool) {
	b := l.body
	don := l.donDelta
	if first {
		don = l.don
	}
	if l.offset == 0 { // AP with DONL: the number comes before the length
		if len(b) < don {
			return nil, 0, false
		}
		b = b[don:]
		don = 0
	}
	if len(b) < 2 {
		return nil, 0, false
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) < don+l.offset+n {
		return nil, 0, false
	}
	for _, x := range b[don : don+l.offset] {
		offset = offset<<8 | uint32(x)
	}
	b = b[don+l.offset:]
	l.body = b[n:]
	return b[:n:n], offset, true
}

// unwrap returns the payload inside a PACI packet (RFC 7798 §4.4.4): its header
// takes the type and F bit that the PACI header holds. It copies the payload.
func unwrap(p []byte) []byte {
	if len(p) < 4 {
		return nil
	}
	cType, extension := p[2]>>1&0x3f, int(p[2]&1)<<4|int(p[3]>>4)
	if len(p) < 4+extension || cType == 50 {
		return nil
	}
	out := make([]byte, 0, len(p)-2-extension)
	out = append(out, p[0]&0x01|cType<<1|p[2]&0x80, p[1])
	return append(out, p[4+extension:]...)
}
