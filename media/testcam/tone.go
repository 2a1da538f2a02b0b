package testcam

import (
	_ "embed" // the tone
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// toneClip is 8 s of AAC, see testdata/mktone.sh.
//
//go:embed tone.adts
var toneClip []byte

// The tone: each second begins with a beep and, in the picture, a lit lamp.
const (
	beep         = 120 * time.Millisecond
	toneRate     = 48000
	toneChannels = 1
	toneFrame    = mpeg4audio.SamplesPerAccessUnit
)

// parseTone returns the frames of the tone, of which frame n belongs at every
// n + k × their count since the epoch.
func parseTone() ([][]byte, error) {
	var packets mpeg4audio.ADTSPackets
	if err := packets.Unmarshal(toneClip); err != nil {
		return nil, fmt.Errorf("cannot parse tone: %w", err)
	}
	frames := make([][]byte, len(packets))
	for i, p := range packets {
		frames[i] = p.AU
	}
	return frames, nil
}

// toneConfig describes the frames.
func toneConfig() *mpeg4audio.AudioSpecificConfig {
	return &mpeg4audio.AudioSpecificConfig{
		Type:         mpeg4audio.ObjectTypeAACLC,
		SampleRate:   toneRate,
		ChannelCount: toneChannels,
	}
}
