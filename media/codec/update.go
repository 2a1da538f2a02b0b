package codec

import (
	"bytes"

	"camrelay/media"
)

// UpdateParams returns the track as the parameter sets among nals describe it.
// In-band sets win over those known. changed is false, and nt is t, when they
// say nothing new. An SPS that cannot be parsed is left out and named by err;
// the rest counts all the same. nals is not kept.
//
// A track holds one set of each kind. Where a camera sends several, the one
// with the id of the set already known is followed, else the first.
func UpdateParams(t *media.Track, nals [][]byte) (nt *media.Track, changed bool, err error) {
	vps, _ := pick(t.Codec, VPS, t.VPS, nals)
	sps, err := pick(t.Codec, SPS, t.SPS, nals)
	pps, _ := pick(t.Codec, PPS, t.PPS, nals)
	if bytes.Equal(vps, t.VPS) && bytes.Equal(sps, t.SPS) && bytes.Equal(pps, t.PPS) {
		return t, false, err
	}
	c := *t
	c.VPS, c.SPS, c.PPS = bytes.Clone(vps), bytes.Clone(sps), bytes.Clone(pps)
	c, e := Describe(c)
	if err == nil {
		err = e
	}
	return &c, true, err
}

// pick returns the set of one kind that holds after nals, cur having held before.
func pick(c media.Codec, which Set, cur []byte, nals [][]byte) (set []byte, err error) {
	first, same := []byte(nil), []byte(nil)
	for _, n := range nals {
		if w, ok := ParameterSet(c, n); !ok || w != which {
			continue
		}
		if which == SPS && !bytes.Equal(n, cur) {
			if _, e := ParseSPS(c, n); e != nil {
				err = e
				continue
			}
		}
		if first == nil {
			first = n
		}
		if len(cur) > 0 && setID(c, which, n) == setID(c, which, cur) {
			same = n
		}
	}
	switch {
	case same != nil:
		return same, err
	case first != nil:
		return first, err
	}
	return cur, err
}

// setID returns the id of a parameter set, 0 where it lies too deep to be read
// in passing (SPS of H.265).
func setID(c media.Codec, which Set, n []byte) uint32 {
	switch {
	case c == media.CodecH264 && which == SPS && len(n) > 4:
		return (&bitReader{b: n[4:]}).golomb()
	case c == media.CodecH264 && which == PPS && len(n) > 1:
		return (&bitReader{b: n[1:]}).golomb()
	case c == media.CodecH265 && which == VPS && len(n) > 2:
		return uint32(n[2] >> 4)
	case c == media.CodecH265 && which == PPS && len(n) > 2:
		return (&bitReader{b: n[2:]}).golomb()
	}
	return 0
}
