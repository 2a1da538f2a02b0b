package flv

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"camrelay/media"
)

// lengthSize is lengthSizeMinusOne of both records: lengths have four bytes.
const lengthSize = 3

// avcRecord returns the AVCDecoderConfigurationRecord of a ready H.264 track
// (ISO 14496-15 §5.3.3.1).
func avcRecord(t *media.Track) []byte {
	if len(t.SPS) < 4 {
		return nil
	}
	b := make([]byte, 0, 15+len(t.SPS)+len(t.PPS))
	b = append(b, 1, t.SPS[1], t.SPS[2], t.SPS[3], 0xfc|lengthSize, 0xe0|1)
	b = appendSet(b, t.SPS)
	b = append(b, 1)
	b = appendSet(b, t.PPS)
	switch t.SPS[1] {
	case 66, 77, 88:
		return b
	}
	var s h264.SPS
	if t.Width == 0 || s.Unmarshal(t.SPS) != nil { // Width: package codec could read it
		return b
	}
	return append(b, 0xfc|byte(s.ChromaFormatIdc), 0xf8|byte(s.BitDepthLumaMinus8), 0xf8|byte(s.BitDepthChromaMinus8), 0)
}

// hevcRecord returns the HEVCDecoderConfigurationRecord of a ready H.265 track
// (ISO 14496-15 §8.3.3.1), nil if its SPS cannot be read.
func hevcRecord(t *media.Track) []byte {
	var s h265.SPS
	if t.Width == 0 || s.Unmarshal(t.SPS) != nil {
		return nil
	}
	rbsp := h264.EmulationPreventionRemove(t.SPS)
	const ptl, ptlSize = 3, 12 // behind the NAL header and the first byte of the SPS: up to general_level_idc
	if len(rbsp) < ptl+ptlSize {
		return nil
	}
	b := append([]byte{1}, rbsp[ptl:ptl+ptlSize]...)
	layers := (s.MaxSubLayersMinus1 + 1) << 3
	if s.TemporalIDNestingFlag {
		layers |= 4
	}
	b = append(b, 0xf0, 0, 0xfc, 0xfc|byte(s.ChromaFormatIdc), 0xf8|byte(s.BitDepthLumaMinus8),
		0xf8|byte(s.BitDepthChromaMinus8), 0, 0, layers|lengthSize, 3)
	for _, set := range [][]byte{t.VPS, t.SPS, t.PPS} {
		b = append(b, 0x80|set[0]>>1&0x3f, 0, 1) // complete, one unit
		b = appendSet(b, set)
	}
	return b
}

func appendSet(b, set []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
	return append(b, set...)
}

// opusHead returns the identification header of Opus in one or two channels
// (RFC 7845 §5.1), which Enhanced RTMP takes for its sequence header.
func opusHead(t *media.Track) []byte {
	const version, fullRate = 1, 48000
	b := append([]byte("OpusHead"), version, byte(max(1, t.Channels)), 0, 0) // no pre-skip: a live stream has no beginning
	b = binary.LittleEndian.AppendUint32(b, fullRate)
	return append(b, 0, 0, 0) // gain, mapping family
}
