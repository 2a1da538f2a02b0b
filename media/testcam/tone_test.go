package testcam

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// Three rounds of the tone, decoded by ffmpeg, beep at the beginning of each
// second and nowhere else: also where one round meets the next.
func TestToneBeepsEachSecondWithoutASeam(t *testing.T) {
	frames, err := parseTone()
	if err != nil {
		t.Fatal(err)
	}
	if len(frames)*toneFrame != 8*toneRate {
		t.Fatalf("%d frames are not 8 s", len(frames))
	}
	var packets mpeg4audio.ADTSPackets
	for range 3 {
		for _, au := range frames {
			packets = append(packets, &mpeg4audio.ADTSPacket{
				Type: mpeg4audio.ObjectTypeAACLC, SampleRate: toneRate, ChannelCount: toneChannels, AU: au,
			})
		}
	}
	adts, err := packets.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-f", "aac", "-i", "pipe:",
		"-f", "f32le", "-ac", "1", "-ar", "48000", "pipe:")
	cmd.Stdin = bytes.NewReader(adts)
	pcm, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffmpeg: %v", err)
	}
	const step = toneRate / 50 // 20 ms
	for second := 1; second < 24; second++ {
		for part := range 50 {
			loud := rms(pcm[4*(second*toneRate+part*step):][:4*step])
			inside, outside := part < 6, part > 7 && part < 49
			if inside && loud < 0.15 || outside && loud > 0.01 {
				t.Errorf("second %d: level %.3f at %d ms", second, loud, part*20)
			}
		}
	}
}

// rms returns the level of 32-bit float samples.
func rms(pcm []byte) float64 {
	sum := 0.0
	for i := 0; i < len(pcm); i += 4 {
		v := float64(math.Float32frombits(binary.LittleEndian.Uint32(pcm[i:])))
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(pcm)/4))
}
