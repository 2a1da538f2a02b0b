package flv

import (
	"encoding/binary"

	"camrelay/media"
)

// Codec ids and packet types (§E.4.2.1, §E.4.3.1; Enhanced RTMP v2,
// ExAudioTagHeader and ExVideoTagHeader).
const (
	avc      = 7
	hevc     = 12 // an invention of players that outran the specification
	aac      = 10 // SoundFormat; rate, size and type beside it are fixed for AAC: 0xaf
	aacFlags = aac<<4 | 0x0f
	exAudio  = 9 << 4 // ExHeader: the packet type is in the lower half, a FourCC follows
	exVideo  = 0x80   // IsExHeader

	sequenceStart = 0
	codedFrames   = 1
	codedFramesX  = 3 // video with composition time 0

	keyFrame   = 1 << 4
	interFrame = 2 << 4
)

func (t *Tag) set(head ...byte) { t.n = uint8(copy(t.head[:], head)) }

// legacy tells whether H.265 goes by codec id 12.
func (m *Muxer) legacy() bool { return m.cfg.Extras&(EnhancedHEVC|LegacyHEVC) == LegacyHEVC }

// header returns the tag of a sequence header.
func (m *Muxer) header(t *media.Track, record []byte, ts int64) Tag {
	g := Tag{Type: Video, Timestamp: uint32(ts), Header: true, Data: [][]byte{record}}
	switch {
	case t.Codec == media.CodecH264:
		g.set(keyFrame|avc, sequenceStart, 0, 0, 0)
	case t.Codec == media.CodecH265 && m.legacy():
		g.set(keyFrame|hevc, sequenceStart, 0, 0, 0)
	case t.Codec == media.CodecH265:
		g.set(exVideo|keyFrame|sequenceStart, HEVC[0], HEVC[1], HEVC[2], HEVC[3])
	case t.Codec == media.CodecOpus:
		g.Type = Audio
		g.set(exAudio|sequenceStart, Opus[0], Opus[1], Opus[2], Opus[3])
	default:
		g.Type = Audio
		g.set(aacFlags, sequenceStart)
	}
	return g
}

func audioTag(u *media.Unit, ts int64) Tag {
	g := Tag{Type: Audio, Timestamp: uint32(ts), Data: u.Data, Wall: u.Wall}
	if u.Track.Codec == media.CodecOpus {
		g.set(exAudio|codedFrames, Opus[0], Opus[1], Opus[2], Opus[3])
	} else {
		g.set(aacFlags, codedFrames)
	}
	return g
}

func (m *Muxer) videoTag(u *media.Unit, ts, cts int64) Tag {
	g := Tag{Type: Video, Timestamp: uint32(ts), Key: u.Key, Prefixed: true, Data: payload(u), Wall: u.Wall}
	frame := byte(interFrame)
	if u.Key {
		frame = keyFrame
	}
	cts = min(max(cts, 0), 1<<23-1) // SI24
	c2, c1, c0 := byte(cts>>16), byte(cts>>8), byte(cts)
	switch {
	case u.Track.Codec == media.CodecH264:
		g.set(frame|avc, codedFrames, c2, c1, c0)
	case m.legacy():
		g.set(frame|hevc, codedFrames, c2, c1, c0)
	case cts == 0:
		g.set(exVideo|frame|codedFramesX, HEVC[0], HEVC[1], HEVC[2], HEVC[3])
	default:
		g.set(exVideo|frame|codedFrames, HEVC[0], HEVC[1], HEVC[2], HEVC[3], c2, c1, c0)
	}
	return g
}

// codecID returns what the metadata calls the codec: a number of its own, or
// the FourCC as one.
func (m *Muxer) codecID(t *media.Track) float64 {
	switch {
	case t.Codec == media.CodecH264:
		return avc
	case t.Codec == media.CodecH265 && m.legacy():
		return hevc
	case t.Codec == media.CodecH265:
		return float64(binary.BigEndian.Uint32([]byte(HEVC)))
	case t.Codec == media.CodecOpus:
		return float64(binary.BigEndian.Uint32([]byte(Opus)))
	}
	return aac
}
