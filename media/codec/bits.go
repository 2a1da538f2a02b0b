package codec

import "camrelay/media"

// bitReader reads an RBSP from its first bit on. Reading past the end gives
// zeros and sets short.
type bitReader struct {
	b     []byte
	pos   int
	short bool
}

func (r *bitReader) bits(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if i := r.pos / 8; i < len(r.b) {
			v |= uint32(r.b[i]>>(7-r.pos%8)) & 1
		} else {
			r.short = true
		}
		r.pos++
	}
	return v
}

// golomb reads ue(v) (H.264 §9.1) of up to 31 bits, enough for every count in
// a slice header.
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for r.bits(1) == 0 {
		if zeros++; zeros > 15 {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// FrameNum returns frame_num of an H.264 slice (§7.3.3) and whether other
// pictures may refer to its picture, given the length of frame_num from the
// SPS (Video.FrameNumBits). ok is false if the slice header cannot be read.
func FrameNum(nal []byte, frameNumBits int) (num uint32, ref, ok bool) {
	if t := Type(media.CodecH264, nal); t != 1 && t != 5 || frameNumBits <= 0 || frameNumBits > 16 {
		return 0, false, false
	}
	var header [16]byte
	r := bitReader{b: appendRBSP(header[:0], nal[1:])}
	r.golomb() // first_mb_in_slice
	r.golomb() // slice_type
	r.golomb() // pic_parameter_set_id
	num = r.bits(frameNumBits)
	return num, nal[0]&0x60 != 0, !r.short
}

// appendRBSP appends nal without its emulation prevention bytes (H.264
// §7.4.1.1) to b until b is full.
func appendRBSP(b, nal []byte) []byte {
	zeros := 0
	for _, x := range nal {
		if len(b) == cap(b) {
			break
		}
		if zeros >= 2 && x == 3 {
			zeros = 0
			continue
		}
		if zeros++; x != 0 {
			zeros = 0
		}
		b = append(b, x)
	}
	return b
}
