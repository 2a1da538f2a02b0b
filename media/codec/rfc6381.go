package codec

import (
	"fmt"
	"math/bits"
	"strings"

	"camrelay/media"
)

// String returns the codecs parameter (RFC 6381) of the track, as playlists
// and Media Source Extensions want it: avc1.64001f, hvc1.1.6.L93.B0,
// mp4a.40.2, opus. It is empty for a track that is not described yet or whose
// codec has no such name.
func String(t *media.Track) string {
	switch t.Codec {
	case media.CodecH264:
		if len(t.SPS) >= 4 {
			return fmt.Sprintf("avc1.%02x%02x%02x", t.SPS[1], t.SPS[2], t.SPS[3])
		}
	case media.CodecH265:
		return hevcString(t.SPS)
	case media.CodecAAC:
		if a, err := ParseAudio(t.AudioConfig); err == nil {
			return fmt.Sprintf("mp4a.40.%d", a.Signalled)
		}
	case media.CodecOpus:
		return "opus"
	}
	return ""
}

// hevcString reads general_profile_space … general_level_idc, the 12 bytes of
// profile_tier_level (H.265 §7.3.3) that follow the NAL header and the first
// byte of the SPS, and formats them as ISO 14496-15 §E.3 says.
func hevcString(sps []byte) string {
	p := appendRBSP(make([]byte, 0, 15), sps)
	if len(p) < 15 {
		return ""
	}
	p = p[3:]
	compat := bits.Reverse32(uint32(p[1])<<24 | uint32(p[2])<<16 | uint32(p[3])<<8 | uint32(p[4]))
	var b strings.Builder
	b.WriteString("hvc1.")
	if space := p[0] >> 6; space > 0 {
		b.WriteByte('A' + space - 1)
	}
	tier := byte('L')
	if p[0]&0x20 != 0 {
		tier = 'H'
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", p[0]&0x1f, compat, tier, p[11])
	constraints := p[5:11]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&b, ".%X", c)
	}
	return b.String()
}
