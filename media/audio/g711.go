package audio

// g711 is the table of one of the laws of ITU-T G.711: a sample of 16 bits for
// each code.
type g711 [256]int16

// newALaw returns the table of the A-law, whose samples have 13 bits.
func newALaw() *g711 {
	var t g711
	for code := range t {
		x := code ^ 0x55
		v := x&0x0f<<4 + 8
		if segment := x >> 4 & 7; segment > 0 {
			v = (v + 0x100) << (segment - 1)
		}
		if x&0x80 == 0 {
			v = -v
		}
		t[code] = int16(v)
	}
	return &t
}

// newMuLaw returns the table of the μ-law, whose samples have 14 bits.
func newMuLaw() *g711 {
	const bias = 0x84
	var t g711
	for code := range t {
		x := ^code
		v := (x&0x0f<<3+bias)<<(x>>4&7) - bias
		if x&0x80 != 0 {
			v = -v
		}
		t[code] = int16(v)
	}
	return &t
}

// decode implements decoder.
func (t *g711) decode(out []float32, frame []byte) []float32 {
	for _, code := range frame {
		out = append(out, float32(t[code]))
	}
	return out
}

// linear decodes 16-bit samples in network byte order (RFC 3551 §4.5.11).
type linear struct{}

// decode implements decoder.
func (linear) decode(out []float32, frame []byte) []float32 {
	for ; len(frame) >= 2; frame = frame[2:] {
		out = append(out, float32(int16(uint16(frame[0])<<8|uint16(frame[1]))))
	}
	return out
}
