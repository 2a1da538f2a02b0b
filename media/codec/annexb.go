package codec

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// startCode is the four-byte form of H.264 §B.1.
const startCode = "\x00\x00\x00\x01"

// AppendAnnexB appends each NAL unit behind a four-byte start code
// (H.264 §B.1, H.265 §B.2) and returns the longer slice.
func AppendAnnexB(b []byte, nals [][]byte) []byte {
	for _, n := range nals {
		b = append(b, startCode...)
		b = append(b, n...)
	}
	return b
}

// AppendAVCC appends each NAL unit behind its length in four bytes, big endian,
// as in samples of avc1 and hvc1 (ISO 14496-15 §4.3.3), and returns the longer
// slice.
func AppendAVCC(b []byte, nals [][]byte) []byte {
	for _, n := range nals {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return b
}

// SizeAVCC returns the bytes that AppendAVCC and AppendAnnexB add for nals.
func SizeAVCC(nals [][]byte) int {
	n := 4 * len(nals)
	for _, d := range nals {
		n += len(d)
	}
	return n
}

// SplitAnnexB appends the NAL units of a byte stream to nals, as slices of b.
// Start codes of three and four bytes and trailing zeros are removed; bytes
// before the first start code are ignored, empty units are left out.
func SplitAnnexB(nals [][]byte, b []byte) [][]byte {
	_, b, ok := bytes.Cut(b, []byte(startCode[1:]))
	for ok {
		var n []byte
		n, b, ok = bytes.Cut(b, []byte(startCode[1:]))
		if n = bytes.TrimRight(n, "\x00"); len(n) > 0 {
			nals = append(nals, slices.Clip(n))
		}
	}
	return nals
}
