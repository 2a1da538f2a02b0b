package codec

import "camrelay/media"

// Set names a kind of parameter set.
type Set uint8

// The parameter sets of H.264 (without VPS) and H.265.
const (
	VPS Set = iota
	SPS
	PPS
)

// Class tells what a NAL unit is for.
type Class uint8

// The classes of NAL unit. Other is what has no place in an access unit that
// is handed on: reserved and unspecified types, RTP's own types, empty units.
const (
	Other     Class = iota
	Slice           // coded slice of a picture (VCL)
	Params          // parameter set
	Delimiter       // access unit delimiter
	Prefix          // SEI and others that come before the first slice of their picture
	Suffix          // what comes after the slices: end of sequence, suffix SEI, auxiliary pictures
	Filler          // filler data
)

// Tables of ITU-T Rec. H.264 Table 7-1 and H.265 Table 7-1.
var (
	classesH264 = [32]Class{
		1: Slice, 2: Slice, 3: Slice, 4: Slice, 5: Slice, 6: Prefix, 7: Params, 8: Params, 9: Delimiter,
		10: Suffix, 11: Suffix, 12: Filler, 13: Params, 14: Prefix, 15: Params, 19: Suffix, 20: Suffix,
	}
	classesH265 = [64]Class{
		0: Slice, 1: Slice, 2: Slice, 3: Slice, 4: Slice, 5: Slice, 6: Slice, 7: Slice, 8: Slice, 9: Slice,
		16: Slice, 17: Slice, 18: Slice, 19: Slice, 20: Slice, 21: Slice,
		32: Params, 33: Params, 34: Params, 35: Delimiter, 36: Suffix, 37: Suffix, 38: Filler,
		39: Prefix, 40: Suffix,
	}
)

// Type returns nal_unit_type, or -1 if nal is too short for its header or c is
// not a codec of NAL units.
func Type(c media.Codec, nal []byte) int {
	switch {
	case c == media.CodecH264 && len(nal) >= 1:
		return int(nal[0] & 0x1f)
	case c == media.CodecH265 && len(nal) >= 2:
		return int(nal[0] >> 1 & 0x3f)
	}
	return -1
}

// ClassOf returns the class of a NAL unit, by its header alone.
func ClassOf(c media.Codec, nal []byte) Class {
	t := Type(c, nal)
	switch {
	case t < 0:
		return Other
	case c == media.CodecH264:
		return classesH264[t]
	default:
		return classesH265[t]
	}
}

// IsVCL tells whether nal is a coded slice.
func IsVCL(c media.Codec, nal []byte) bool { return ClassOf(c, nal) == Slice }

// IsAUD tells whether nal is an access unit delimiter.
func IsAUD(c media.Codec, nal []byte) bool { return ClassOf(c, nal) == Delimiter }

// IsSEI tells whether nal is supplemental enhancement information.
func IsSEI(c media.Codec, nal []byte) bool {
	t := Type(c, nal)
	return c == media.CodecH264 && t == 6 || c == media.CodecH265 && (t == 39 || t == 40)
}

// IsKey tells whether nal is a slice of a picture at which decoding may begin:
// IDR of H.264, IRAP (BLA, IDR, CRA) of H.265.
func IsKey(c media.Codec, nal []byte) bool {
	t := Type(c, nal)
	return c == media.CodecH264 && t == 5 || c == media.CodecH265 && t >= 16 && t <= 21
}

// ParameterSet tells whether nal is one of the sets that a decoder needs first.
func ParameterSet(c media.Codec, nal []byte) (which Set, ok bool) {
	switch t := Type(c, nal); {
	case c == media.CodecH264 && (t == 7 || t == 8):
		return Set(t-7) + SPS, true
	case c == media.CodecH265 && t >= 32 && t <= 34:
		return Set(t - 32), true
	}
	return 0, false
}

// StartsPicture tells whether nal is the first slice of its picture:
// first_mb_in_slice is 0 (H.264 §7.4.3), first_slice_segment_in_pic_flag is set
// (H.265 §7.4.7.1). Both are the first bit after the NAL header being 1.
func StartsPicture(c media.Codec, nal []byte) bool {
	if ClassOf(c, nal) != Slice {
		return false
	}
	if c == media.CodecH264 {
		t := nal[0] & 0x1f // data partitions B and C have no first_mb_in_slice
		return t != 3 && t != 4 && len(nal) > 1 && nal[1]&0x80 != 0
	}
	return len(nal) > 2 && nal[2]&0x80 != 0
}

// Key tells whether the access unit holds a key picture.
func Key(c media.Codec, nals [][]byte) bool {
	for _, n := range nals {
		if IsKey(c, n) {
			return true
		}
	}
	return false
}
