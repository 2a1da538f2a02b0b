package mpegts

import "errors"

var errAudioConfig = errors.New("no ADTS header for this AudioSpecificConfig")

// adts returns the header of one AAC frame of n bytes, from the first bits of
// the AudioSpecificConfig: object type (5 bits), frequency index (4), channel
// configuration (4). An explicit frequency or an object type above 4 has no
// ADTS form. Specification: ISO 14496-3 1.6.2.1, ISO 13818-7 6.2.
func adts(config []byte, n int) ([]byte, error) {
	if len(config) < 2 {
		return nil, errAudioConfig
	}
	object := config[0] >> 3
	rate := config[0]&7<<1 | config[1]>>7
	channels := config[1] >> 3 & 15
	if object == 5 || object == 29 { // SBR and PS are signalled within: the core is AAC LC
		object = 2
	}
	n += 7
	if object < 1 || object > 4 || rate > 12 || n > 0x1fff {
		return nil, errAudioConfig
	}
	return []byte{
		0xff, 0xf1, (object-1)<<6 | rate<<2 | channels>>2, channels<<6 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc,
	}, nil
}

// opusControl returns the control header of an Opus packet of n bytes.
// Specification: TS Opus 0.1.3, 3.1.
func opusControl(n int) []byte {
	b := []byte{0x7f, 0xe0}
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}
