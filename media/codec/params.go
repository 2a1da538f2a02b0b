package codec

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"camrelay/media"
)

// Bounds of what is believed from a parameter set.
const (
	maxSide      = 16384
	maxFrameRate = 300
	maxReorder   = 16
)

// UnknownDepth is the Video.Depth of a stream that does not tell how far its
// pictures are reordered.
const UnknownDepth = -1

// Video is what a sequence parameter set says.
type Video struct {
	Width, Height int     // pixels after cropping
	FrameRate     float64 // pictures per second, 0 if not told
	Depth         int     // pictures that may be decoded before another and shown after it; UnknownDepth if not told
	Fields        bool    // a picture may be one field, so two may share a time stamp
	FrameNumBits  int     // H.264: length of frame_num; 0 if slice headers cannot be read with this SPS alone
}

// ParseSPS returns what sps says. It never panics, whatever the bytes.
func ParseSPS(c media.Codec, sps []byte) (v Video, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot parse SPS: %v", r)
		}
	}()
	if c == media.CodecH265 {
		v, err = parseH265(sps)
	} else {
		v, err = parseH264(sps)
	}
	if err != nil {
		return Video{}, fmt.Errorf("cannot parse SPS: %w", err)
	}
	if v.Width <= 0 || v.Height <= 0 || v.Width > maxSide || v.Height > maxSide {
		return Video{}, fmt.Errorf("cannot parse SPS: picture of %d × %d", v.Width, v.Height)
	}
	if !(v.FrameRate > 0 && v.FrameRate <= maxFrameRate) { // also NaN
		v.FrameRate = 0
	}
	v.Depth = min(v.Depth, maxReorder)
	return v, nil
}

func parseH264(b []byte) (Video, error) {
	var s h264.SPS
	if err := s.Unmarshal(b); err != nil {
		return Video{}, err
	}
	v := Video{
		Width: s.Width(), Height: s.Height(), FrameRate: s.FPS(),
		Depth: UnknownDepth, Fields: !s.FrameMbsOnlyFlag,
	}
	if !s.SeparateColourPlaneFlag {
		v.FrameNumBits = int(s.Log2MaxFrameNumMinus4) + 4
	}
	// Profile 66 has no B slices, and intra profiles no prediction at all
	// (H.264 §A.2.1); pic_order_cnt_type 2 forbids reordering (§7.4.2.1.1).
	const baseline = 66
	switch {
	case s.ProfileIdc == baseline || s.PicOrderCntType == 2:
		v.Depth = 0
	case s.VUI != nil && s.VUI.BitstreamRestriction != nil:
		v.Depth = int(s.VUI.BitstreamRestriction.MaxNumReorderFrames)
	}
	return v, nil
}

func parseH265(b []byte) (Video, error) {
	var s h265.SPS
	if err := s.Unmarshal(b); err != nil {
		return Video{}, err
	}
	v := Video{Width: s.Width(), Height: s.Height(), FrameRate: s.FPS(), Depth: UnknownDepth}
	if s.VUI != nil {
		v.Fields = s.VUI.FieldSeqFlag
	}
	if n := len(s.MaxNumReorderPics); n > 0 {
		v.Depth = int(s.MaxNumReorderPics[n-1]) // of the highest sub-layer
	}
	return v, nil
}

// Describe returns a copy of t with what its parameter sets or its
// AudioSpecificConfig say filled in: Width, Height, FrameRate, Reorder of
// video, SampleRate and Channels of AAC. What is not told stays as it was.
// Reorder is set unless the stream promises never to reorder. An error means
// that the copy is like t.
func Describe(t media.Track) (media.Track, error) {
	switch t.Codec {
	case media.CodecH264, media.CodecH265:
		if len(t.SPS) == 0 {
			return t, nil
		}
		v, err := ParseSPS(t.Codec, t.SPS)
		if err != nil {
			return t, err
		}
		t.Width, t.Height, t.Reorder = v.Width, v.Height, v.Depth != 0
		if v.FrameRate > 0 {
			t.FrameRate = v.FrameRate
		}
	case media.CodecAAC:
		if len(t.AudioConfig) == 0 {
			return t, nil
		}
		a, err := ParseAudio(t.AudioConfig)
		if err != nil {
			return t, err
		}
		t.SampleRate, t.Channels = a.SampleRate, a.Channels
	case media.CodecOpus:
		if t.SampleRate == 0 {
			t.SampleRate = 48000 // RFC 7587 §4.1
		}
	}
	return t, nil
}

// Audio is what an AudioSpecificConfig says.
type Audio struct {
	ObjectType int // of the core: 2 is AAC-LC also where SBR is signalled
	Signalled  int // what an MPEG-4 string names: 5 with SBR, 29 with PS, else as ObjectType
	SampleRate int // Hz of the core, in whose samples frames are counted
	Channels   int
	Samples    int // per frame: 1024, 960, or 512 and 480 of low-delay types
}

// ParseAudio returns what an AudioSpecificConfig (ISO 14496-3 §1.6.2.1) says.
// It never panics, whatever the bytes.
func ParseAudio(b []byte) (a Audio, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot parse AudioSpecificConfig: %v", r)
		}
	}()
	var c mpeg4audio.AudioSpecificConfig
	if err := c.Unmarshal(b); err != nil {
		return Audio{}, fmt.Errorf("cannot parse AudioSpecificConfig: %w", err)
	}
	if c.SampleRate <= 0 || c.ChannelCount <= 0 {
		return Audio{}, errors.New("cannot parse AudioSpecificConfig: no sample rate or no channels")
	}
	a = Audio{
		ObjectType: int(c.Type), Signalled: int(c.Type),
		SampleRate: c.SampleRate, Channels: c.ChannelCount, Samples: 1024,
	}
	if c.ExtensionType != 0 {
		a.Signalled = int(c.ExtensionType)
	}
	if c.FrameLengthFlag {
		a.Samples = 960
	}
	const lowDelay, enhancedLowDelay = 23, 39
	if a.ObjectType == lowDelay || a.ObjectType == enhancedLowDelay {
		a.Samples /= 2
	}
	return a, nil
}
