package mpegts

const (
	adtsSize = 7
	// maxFrame is the longest AAC frame that an ADTS header can tell of.
	maxFrame = 0x1fff - adtsSize
	// maxOpusChannels is the most that the channel configuration can tell of.
	maxOpusChannels = 8
)

// adts is the header of an AAC frame, its length left open.
type adts [adtsSize]byte

// newADTS makes the header from the first bits of the AudioSpecificConfig:
// object type (5 bits), frequency index (4), channel configuration (4). A
// frequency given as such, channels given by a program config element and an
// object type above 4 have no ADTS form.
// Specification: ISO 14496-3 1.6.2.1, ISO 13818-7 6.2.
func newADTS(config []byte) (h adts, ok bool) {
	if len(config) < 2 {
		return h, false
	}
	object := config[0] >> 3
	rate := config[0]&7<<1 | config[1]>>7
	channels := config[1] >> 3 & 15
	if object == 5 || object == 29 { // SBR and PS are signalled within: the core is AAC LC
		object = 2
	}
	if object < 1 || object > 4 || rate > 12 || channels < 1 || channels > 7 {
		return h, false
	}
	return adts{0xff, 0xf1, (object-1)<<6 | rate<<2 | channels>>2, channels << 6, 0, 0x1f, 0xfc}, true
}

// frame returns the header of a frame of n bytes, up to maxFrame.
func (h adts) frame(n int) adts {
	n += adtsSize
	h[3] |= byte(n >> 11)
	h[4] = byte(n >> 3)
	h[5] |= byte(n << 5)
	return h
}

// appendOpusControl appends the control header of an Opus packet of n bytes.
// Specification: TS Opus 0.1.3, 3.1.
func appendOpusControl(b []byte, n int) []byte {
	b = append(b, 0x7f, 0xe0)
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}
