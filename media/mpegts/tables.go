package mpegts

import "camrelay/media"

// PIDs and stream types. Specification: ISO 13818-1 2.4.4, table 2-34.
const (
	pidPAT   = 0
	pidPMT   = 0x1000
	pidFirst = 0x100
	program  = 1

	tablePAT = 0
	tablePMT = 2

	typeAAC     = 0x0f // ADTS
	typeH264    = 0x1b
	typeH265    = 0x24
	typePrivate = 0x06 // Opus, with a registration descriptor
)

// maxStreams is how many a PMT of one packet has room for.
const maxStreams = 8

func streamType(c media.Codec) byte {
	switch c {
	case media.CodecH264:
		return typeH264
	case media.CodecH265:
		return typeH265
	case media.CodecAAC:
		return typeAAC
	default:
		return typePrivate
	}
}

// appendSection appends the payload of a packet that holds a table: pointer
// field, table id, length and CRC around body.
func appendSection(b []byte, id byte, number uint16, version byte, body []byte) []byte {
	b = append(b, 0) // pointer_field
	from := len(b)
	n := 5 + len(body) + 4
	b = append(b, id, 0xb0|byte(n>>8), byte(n), byte(number>>8), byte(number), 0xc1|version<<1, 0, 0)
	b = append(b, body...)
	sum := crc32(b[from:])
	b = append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	return stuffing(b, payloadSize-1-3-n)
}

// list makes the tables of the streams that are listed now.
func (m *Muxer) list() {
	m.pcrStream = nil
	for _, s := range m.streams {
		better := m.pcrStream == nil || m.pcrStream.track.Kind != media.KindVideo && s.track.Kind == media.KindVideo
		if s.listed && better {
			m.pcrStream = s
		}
	}
	m.patBody = appendSection(m.patBody[:0], tablePAT, 1, 0, []byte{0, program, 0xe0 | pidPMT>>8, pidPMT & 0xff})
	if m.pcrStream == nil {
		return
	}
	body := []byte{0xe0 | byte(m.pcrStream.pid>>8), byte(m.pcrStream.pid), 0xf0, 0}
	for _, s := range m.streams {
		if !s.listed {
			continue
		}
		desc := descriptors(s.track)
		body = append(body, streamType(s.track.Codec), 0xe0|byte(s.pid>>8), byte(s.pid), 0xf0, byte(len(desc)))
		body = append(body, desc...)
	}
	m.pmtBody = appendSection(m.pmtBody[:0], tablePMT, program, m.version&31, body)
	m.version++
}

// tables appends PAT and PMT.
func (m *Muxer) tables(b []byte) []byte {
	b = append(m.pat.header(b, true, payloadOnly), m.patBody...)
	return append(m.pmt.header(b, true, payloadOnly), m.pmtBody...)
}

// descriptors returns what a PMT says of a stream beside its type.
func descriptors(t *media.Track) []byte {
	switch t.Codec {
	case media.CodecOpus: // registration, and the extension descriptor with the channel configuration
		return []byte{0x05, 4, 'O', 'p', 'u', 's', 0x7f, 2, 0x80, byte(max(1, t.Channels))}
	case media.CodecH265:
		return []byte{0x05, 4, 'H', 'E', 'V', 'C'}
	}
	return nil
}

// crc32 is the CRC of sections: polynomial 0x04c11db7, no reflection.
// Specification: ISO 13818-1 annex A.
func crc32(b []byte) uint32 {
	sum := uint32(0xffffffff)
	for _, c := range b {
		sum ^= uint32(c) << 24
		for range 8 {
			if sum&0x80000000 != 0 {
				sum = sum<<1 ^ 0x04c11db7
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}
