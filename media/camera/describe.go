package camera

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"camrelay/media"
	"camrelay/media/codec"
)

// offer is a track that a camera offers.
type offer struct {
	track   *media.Track
	control string
	others  [128]bool // payload types of formats that are not taken
}

// codecs names the codecs by their encoding names (RFC 4855) in upper case.
var codecs = map[string]media.Codec{
	"H264": media.CodecH264, "H265": media.CodecH265, "HEVC": media.CodecH265,
	"MPEG4-GENERIC": media.CodecAAC, "MP4A-LATM": media.CodecAAC, "OPUS": media.CodecOpus,
	"PCMA": media.CodecPCMA, "PCMU": media.CodecPCMU, "JPEG": media.CodecMJPEG,
	"G722": media.CodecG722, "L16": media.CodecL16,
}

// static holds the payload types of RFC 3551 §6 that cameras use without an
// rtpmap attribute.
var static = map[uint8]struct {
	codec    media.Codec
	rate     int
	channels int
}{
	0: {media.CodecPCMU, 8000, 1}, 3: {rate: 8000}, 4: {rate: 8000}, 8: {media.CodecPCMA, 8000, 1},
	9: {media.CodecG722, 8000, 1}, 10: {media.CodecL16, 44100, 2}, 11: {media.CodecL16, 44100, 1}, 14: {rate: 90000},
	18: {rate: 8000}, 26: {codec: media.CodecMJPEG, rate: 90000}, 32: {rate: 90000}, 33: {rate: 90000}, 34: {rate: 90000},
}

// describe turns what an SDP offers into tracks, whose IDs are their indices.
// Of several formats of one media the first that is known is taken.
func describe(medias []section, log *slog.Logger) []offer {
	var all []offer
	for _, m := range medias {
		best := trackOf(&m, m.payloads[0])
		for _, p := range m.payloads[1:] {
			if best.Codec == media.CodecUnknown {
				if t := trackOf(&m, p); t.Codec != media.CodecUnknown {
					best = t
				}
			}
		}
		o := offer{control: m.control}
		for _, p := range m.payloads {
			o.others[p] = p != best.PayloadType
		}
		best.ID = len(all)
		t, err := parse(best)
		if err != nil {
			log.Warn("camera describes a track wrongly", "codec", t.Codec.String(), "err", err)
		}
		o.track = t
		all = append(all, o)
	}
	return all
}

// trackOf returns the track of a media in one of its formats, without what is
// to be parsed of its parameters.
func trackOf(m *section, payload uint8) media.Track {
	t := media.Track{
		Kind: m.kind, PayloadType: payload, RTPMap: m.rtpmap[payload], FMTP: parameters(m.fmtp[payload]), Channels: 1,
	}
	if s, ok := static[payload]; ok {
		t.Codec, t.ClockRate, t.Channels = s.codec, s.rate, s.channels
	}
	part := strings.Split(t.RTPMap, "/")
	if c, ok := codecs[strings.ToUpper(part[0])]; ok {
		t.Codec = c
	}
	if len(part) > 1 {
		if n, err := strconv.ParseUint(part[1], 10, 31); err == nil && n > 0 {
			t.ClockRate = int(n)
		}
	}
	if len(part) > 2 {
		if n, err := strconv.ParseUint(part[2], 10, 8); err == nil && n > 0 {
			t.Channels = int(n)
		}
	}
	switch {
	case t.ClockRate > 0:
	case m.kind == media.KindAudio:
		t.ClockRate = 8000
	default:
		t.ClockRate = 90000
	}
	if m.kind != media.KindAudio {
		t.Channels = 0
	} else {
		t.SampleRate = t.ClockRate
	}
	return t
}

// parse fills in what the format's parameters say. What is wrong with them is
// left out and named by err: what comes in band is right more often.
func parse(t media.Track) (*media.Track, error) {
	switch t.Codec {
	case media.CodecH264, media.CodecH265:
		n, _, err := codec.UpdateParams(&t, sets(&t))
		return n, err
	case media.CodecAAC:
		return parseAAC(t)
	case media.CodecOpus:
		t.SampleRate, t.Channels = 48000, 2
		if t.FMTP["sprop-stereo"] == "0" {
			t.Channels = 1
		}
	case media.CodecG722:
		t.SampleRate = 16000 // the clock of its stamps is slower by an old mistake (RFC 3551 §4.5.2)
	case media.CodecUnknown, media.CodecPCMA, media.CodecPCMU, media.CodecMJPEG, media.CodecL16:
	}
	return &t, nil
}

// sets returns the parameter sets that are given out of band (RFC 6184 §8.1,
// RFC 7798 §7.1).
func sets(t *media.Track) [][]byte {
	var all [][]byte
	for _, key := range []string{"sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"} {
		for s := range strings.SplitSeq(t.FMTP[key], ",") {
			nal, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s), "="))
			if err != nil || len(nal) == 0 {
				continue
			}
			if bytes.HasPrefix(nal, []byte{0, 0}) { // with a start code, which does not belong there
				all = codec.SplitAnnexB(all, nal)
			} else {
				all = append(all, nal)
			}
		}
	}
	return all
}

// parseAAC finds the AudioSpecificConfig of a track.
func parseAAC(t media.Track) (*media.Track, error) {
	raw, err := hex.DecodeString(t.FMTP["config"])
	if strings.HasPrefix(strings.ToUpper(t.RTPMap), "MP4A-LATM") {
		raw = configOfLATM(raw)
	}
	if err == nil && len(raw) > 0 {
		t.AudioConfig = raw
		d, e := codec.Describe(t)
		if e == nil {
			return &d, nil
		}
		err = e
	}
	t.AudioConfig = configOf(t.ClockRate, t.Channels)
	d, e := codec.Describe(t)
	if e != nil {
		d.AudioConfig = nil
	}
	return &d, err
}

// rates are the samplingFrequencyIndex values (ISO 14496-3 table 1.18).
var rates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

const aacLC = 2 // audioObjectType

// configOf returns the AudioSpecificConfig of AAC-LC, which is what nearly all
// cameras send that do not tell; nil if there is none of that rate.
func configOf(rate, channels int) []byte {
	i := slices.Index(rates[:], rate)
	if i < 0 || channels < 1 || channels > 7 {
		return nil
	}
	c := aacLC<<11 | i<<7 | channels<<3
	return []byte{byte(c >> 8), byte(c)}
}

// configOfLATM returns the AudioSpecificConfig in a StreamMuxConfig (ISO
// 14496-3 §1.7.3) of one program of AAC-LC; nil for any other.
func configOfLATM(mux []byte) []byte {
	const header = 15 // bits: version 0, same time framing, subframes, one program, one layer
	if len(mux) < 4 || mux[0]>>6 != 1 || binary.BigEndian.Uint16(mux)&0xfe != 0 {
		return nil
	}
	c := uint16(binary.BigEndian.Uint32(mux) >> (32 - header - 16))
	if index := int(c >> 7 & 15); c>>11 != aacLC || index >= len(rates) {
		return nil
	}
	return binary.BigEndian.AppendUint16(nil, c)
}
