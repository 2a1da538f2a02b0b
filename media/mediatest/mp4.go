package mediatest

import (
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// newTrack describes a stream of a clip.
func newTrack(tb testing.TB, s ProbedStream) *media.Track {
	tb.Helper()
	t := media.Track{ID: s.Index, ClockRate: 90000, PayloadType: uint8(96 + s.Index)}
	switch s.CodecName {
	case "h264":
		t.Kind, t.Codec, t.RTPMap = media.KindVideo, media.CodecH264, "H264/90000"
		t.FMTP = map[string]string{"packetization-mode": "1"}
		readAVCC(tb, &t, s.Extradata)
	case "hevc":
		t.Kind, t.Codec, t.RTPMap = media.KindVideo, media.CodecH265, "H265/90000"
		readHVCC(tb, &t, s.Extradata)
	case "aac":
		t.Kind, t.Codec, t.RTPMap = media.KindAudio, media.CodecAAC, "mpeg4-generic/48000/2"
		t.ClockRate, t.AudioConfig = 48000, s.Extradata
		t.FMTP = map[string]string{
			"streamtype": "5", "mode": "AAC-hbr", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3",
		}
	case "opus":
		t.Kind, t.Codec, t.RTPMap = media.KindAudio, media.CodecOpus, "opus/48000/2"
		t.ClockRate, t.SampleRate, t.Channels = 48000, 48000, 2
	default:
		tb.Fatalf("unexpected codec %q", s.CodecName)
	}
	return describe(tb, t)
}

// readAVCC takes the parameter sets out of an AVCDecoderConfigurationRecord
// (ISO 14496-15 §5.3.3.1) with one of each.
func readAVCC(tb testing.TB, t *media.Track, b []byte) {
	tb.Helper()
	if len(b) < 8 {
		tb.Fatalf("avcC of %d bytes", len(b))
	}
	n := int(binary.BigEndian.Uint16(b[6:]))
	t.SPS = b[8 : 8+n : 8+n]
	b = b[8+n+1:]
	n = int(binary.BigEndian.Uint16(b))
	t.PPS = b[2 : 2+n : 2+n]
}

// readHVCC takes them out of an HEVCDecoderConfigurationRecord (§8.3.3.1).
func readHVCC(tb testing.TB, t *media.Track, b []byte) {
	tb.Helper()
	if len(b) < 23 {
		tb.Fatalf("hvcC of %d bytes", len(b))
	}
	arrays := int(b[22])
	b = b[23:]
	for range arrays {
		count := int(binary.BigEndian.Uint16(b[1:]))
		b = b[3:]
		for range count {
			n := int(binary.BigEndian.Uint16(b))
			nal := b[2 : 2+n : 2+n]
			b = b[2+n:]
			if which, ok := codec.ParameterSet(t.Codec, nal); ok {
				*[...]*[]byte{codec.VPS: &t.VPS, codec.SPS: &t.SPS, codec.PPS: &t.PPS}[which] = nal
			}
		}
	}
}

// newUnit returns the unit of a packet of the file. Key pictures carry their parameter
// sets, as cameras send them.
func newUnit(tb testing.TB, t *media.Track, p ProbedPacket, file []byte) *media.Unit {
	tb.Helper()
	data := file[number(tb, p.Pos):][:number(tb, p.Size)]
	u := &media.Unit{
		Track: t,
		PTS:   clipStart + seconds(tb, p.PTS),
		DTS:   clipStart + seconds(tb, p.DTS),
	}
	if t.Kind != media.KindVideo {
		u.Data = [][]byte{data}
		return u
	}
	for b := data; len(b) >= 4; {
		n := int(binary.BigEndian.Uint32(b))
		u.Data = append(u.Data, b[4:4+n:4+n])
		b = b[4+n:]
	}
	if u.Key = codec.Key(t.Codec, u.Data); u.Key {
		sets := [][]byte{t.SPS, t.PPS}
		if t.Codec == media.CodecH265 {
			sets = [][]byte{t.VPS, t.SPS, t.PPS}
		}
		u.Data = append(sets, u.Data...)
	}
	return u
}

func number(tb testing.TB, s string) int {
	tb.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		tb.Fatalf("number %q of ffprobe: %v", s, err)
	}
	return n
}

// seconds parses a time of ffprobe, to the nearest tick of 90 kHz or 48 kHz.
func seconds(tb testing.TB, s string) time.Duration {
	tb.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		tb.Fatalf("time %q of ffprobe: %v", s, err)
	}
	return d
}
