package mpegts

import (
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// clock is the rate of time stamps, ticks per second; the PCR counts 300 for
// each.
const (
	clock = 90000
	wrap  = 1 << 33
)

// stream_id. Specification: ISO 13818-1 table 2-22.
const (
	idAudio   = 0xc0
	idVideo   = 0xe0
	idPrivate = 0xbd
)

// stamp returns a time stamp as a PES holds it.
func stamp(t time.Duration) int64 { return media.ToTicks(t+lead, clock) & (wrap - 1) }

// pcr returns the program clock of a time of the stream, 27 MHz.
func pcr(t time.Duration) int64 {
	n := media.ToTicks(t, clock*300) % (wrap * 300)
	if n < 0 {
		n += wrap * 300
	}
	return n
}

// appendPES appends a PES header. The size of a video payload is left open, as
// it may be longer than the field can tell.
// Specification: ISO 13818-1 2.4.3.6.
func appendPES(b []byte, id byte, size int, u *media.Unit) []byte {
	pts, dts := stamp(u.PTS), stamp(u.DTS)
	flags, n := byte(0x80), 5
	if dts != pts {
		flags, n = 0xc0, 10
	}
	if size += 3 + n; id == idVideo || size > 0xffff {
		size = 0
	}
	b = append(b, 0, 0, 1, id, byte(size>>8), byte(size), 0x84, flags, byte(n))
	b = appendStamp(b, flags>>2&0xf0, pts)
	if n == 10 {
		b = appendStamp(b, 0x10, dts)
	}
	return b
}

// appendStamp appends a 33-bit time stamp with its marker bits.
func appendStamp(b []byte, prefix byte, t int64) []byte {
	return append(b, prefix|byte(t>>29)&0x0e|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// Access unit delimiters behind their start codes, for pictures of any type.
const (
	startCode = "\x00\x00\x00\x01"
	aud264    = startCode + "\x09\xf0"
	aud265    = startCode + "\x46\x01\x50"
)

// picture appends the parts of a picture: an access unit delimiter, which
// receivers want; the parameter sets before a key picture that lacks any; the
// NAL units.
func (m *Muxer) picture(u *media.Unit) {
	t := u.Track
	m.parts = append(m.parts, m.aud(t.Codec))
	if u.Key && !hasSets(t.Codec, u.Data) {
		for _, set := range [...][]byte{t.VPS, t.SPS, t.PPS} {
			m.nal(set)
		}
	}
	for _, nal := range u.Data {
		if !codec.IsAUD(t.Codec, nal) {
			m.nal(nal)
		}
	}
}

func (m *Muxer) aud(c media.Codec) []byte {
	if c == media.CodecH264 {
		return m.aud264
	}
	return m.aud265
}

func (m *Muxer) nal(nal []byte) {
	if len(nal) > 0 {
		m.parts = append(m.parts, m.aud264[:len(startCode)], nal)
	}
}

// hasSets tells whether a picture brings all parameter sets along.
func hasSets(c media.Codec, nals [][]byte) bool {
	var has [codec.PPS + 1]bool
	has[codec.VPS] = c == media.CodecH264
	for _, nal := range nals {
		if which, ok := codec.ParameterSet(c, nal); ok {
			has[which] = true
		}
	}
	return has[codec.VPS] && has[codec.SPS] && has[codec.PPS]
}
