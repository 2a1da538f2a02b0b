// Package media holds the nouns of the data plane: codecs, tracks, packets,
// access units, and the arithmetic of RTP ticks. It starts no goroutine and
// does no I/O; every other media room imports it and it imports none of them.
//
// Everything here is immutable once it has been published to a log: writers
// hand a value over and never touch it again, readers share it.
package media

import (
	"time"
)

// Kind is the media type of a track, as in the m= line of an SDP.
type Kind uint8

// The kinds of track.
const (
	KindVideo Kind = iota + 1
	KindAudio
	KindApplication
)

// String returns the SDP media type: video, audio or application.
func (k Kind) String() string {
	switch k {
	case KindVideo:
		return "video"
	case KindAudio:
		return "audio"
	case KindApplication:
		return "application"
	}
	return "unknown"
}

// Codec names a coding format.
type Codec uint8

// The codecs that camrelay knows by name. What is not known by name, and MJPEG,
// does not become units: it passes through to RTSP viewers as packets.
const (
	CodecUnknown Codec = iota
	CodecH264
	CodecH265
	CodecAAC
	CodecOpus
	CodecPCMA
	CodecPCMU
	CodecMJPEG
	CodecG722 // ITU-T G.722 at 64 kbit/s
	CodecL16  // 16-bit linear samples, big endian, channels interleaved (RFC 3551 §4.5.11)
)

var codecNames = [...]string{"unknown", "H264", "H265", "AAC", "Opus", "PCMA", "PCMU", "MJPEG", "G722", "L16"}

// String returns the usual name of the codec, for people and for the API.
func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return codecNames[0]
}

// ParseCodec is the inverse of String; ok is false if there is no such codec.
func ParseCodec(name string) (c Codec, ok bool) {
	for i, known := range codecNames {
		if known == name {
			return Codec(i), true
		}
	}
	return CodecUnknown, false
}

// Track describes one elementary stream of a camera. It is immutable: new
// parameter sets make a new *Track with the same ID, and a changed pointer is
// how readers learn of it.
type Track struct {
	ID          int               // index in Stream.Tracks, from 0; the same after a reconnect
	Kind        Kind              //
	Codec       Codec             //
	ClockRate   int               // RTP ticks per second, > 0
	PayloadType uint8             // RTP payload type as the camera uses it
	RTPMap      string            // rtpmap value without payload type, "H264/90000"; empty for static types
	FMTP        map[string]string // fmtp parameters, keys in lower case; never written after publication

	VPS, SPS, PPS []byte // video parameter sets without start codes; nil until known
	Width, Height int    // pixels, 0 until known
	FrameRate     float64
	Reorder       bool // pictures may be displayed in another order than decoded (B-frames)

	AudioConfig []byte // AudioSpecificConfig (ISO 14496-3 1.6.2.1) of AAC; nil otherwise
	SampleRate  int    // Hz; of G.722 16000 although ClockRate is 8000 (RFC 3551 §4.5.2)
	Channels    int
}

// Ready tells whether everything that a container needs to describe the track
// is known: parameter sets of H.264 and H.265, the AudioSpecificConfig of AAC.
func (t *Track) Ready() bool {
	switch t.Codec {
	case CodecH264:
		return len(t.SPS) > 0 && len(t.PPS) > 0
	case CodecH265:
		return len(t.VPS) > 0 && len(t.SPS) > 0 && len(t.PPS) > 0
	case CodecAAC:
		return len(t.AudioConfig) > 0
	}
	return true
}

// HasUnits tells whether packets of this track are turned into units.
func (t *Track) HasUnits() bool {
	switch t.Codec {
	case CodecH264, CodecH265, CodecAAC, CodecOpus, CodecPCMA, CodecPCMU, CodecG722, CodecL16:
		return true
	}
	return false
}

// Unit is one access unit or one audio frame on the stream's time line.
type Unit struct {
	Track    *Track        // another pointer than last time ⇒ new init segment or sequence header
	PTS, DTS time.Duration // stream time; DTS ≤ PTS; the DTS of a track never falls
	Wall     time.Time     // arrival by the box's clock, with its monotonic reading
	Data     [][]byte      // NAL units without start codes, or one audio frame
	Key      bool          // a reader may start here
	Gap      bool          // first unit of its track after loss or reconnect: expect a discontinuity
}

// Size returns the bytes of media in the unit.
func (u *Unit) Size() int {
	n := 0
	for _, d := range u.Data {
		n += len(d)
	}
	return n
}
