//go:build cgo

package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// adts returns frames as a file that ffmpeg reads.
func adts(frames [][]byte, channels int) []byte {
	var b []byte
	for _, f := range frames {
		n := 7 + len(f)
		b = append(b, 0xff, 0xf1, 0x4c, byte(channels<<6)|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc)
		b = append(b, f...)
	}
	return b
}

// decoded returns what ffmpeg decodes of frames, by channel. Any complaint of
// ffmpeg fails the test.
func decoded(tb testing.TB, frames [][]byte, channels int) [][]float64 {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "made.aac")
	if err := os.WriteFile(file, adts(frames, channels), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), "ffmpeg", "-nostdin", "-v", "error", "-xerror", "-flags", "+bitexact",
		"-i", file, "-f", "f32le", "-c:a", "pcm_f32le", "-")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		tb.Fatalf("ffmpeg: %v\n%s", err, &stderr)
	}
	out := make([][]float64, channels)
	for i, b := 0, stdout.Bytes(); len(b) >= 4; i, b = i+1, b[4:] {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b))
		out[i%channels] = append(out[i%channels], float64(v))
	}
	for _, c := range out {
		if len(c) != len(frames)*block {
			tb.Fatalf("ffmpeg decoded %d samples of %d frames", len(c), len(frames))
		}
	}
	return out
}

// encodeAll returns the frames of a signal, which may be of any length.
func encodeAll(tb testing.TB, channels int, signal func(i int) float64, blocks int) [][]byte {
	tb.Helper()
	e, err := newEncoder(channels)
	if err != nil {
		tb.Fatal(err)
	}
	defer e.close()
	var frames [][]byte
	for b := range blocks {
		var pcm []int16
		for i := range block {
			for range channels {
				pcm = append(pcm, int16(32767*signal(b*block+i)))
			}
		}
		f, err := e.encode(pcm)
		if err != nil {
			tb.Fatal(err)
		}
		frames = append(frames, f)
	}
	return frames
}

// lagOf returns by how many samples got lags behind want, by correlation.
func lagOf(want func(i int) float64, got []float64, from, to, most int) int {
	best, at := math.Inf(-1), 0
	for lag := range most {
		sum := 0.0
		for i := from; i < to; i++ {
			sum += want(i) * got[i+lag]
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	return at
}

// noise is a signal in which each moment is unlike any other: a rising tone.
func noise(i int) float64 {
	t := float64(i) / rate
	return 0.3 * math.Sin(2*math.Pi*(300*t+400*t*t))
}

func TestEncoderDelay(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		got := decoded(t, encodeAll(t, channels, noise, 100), channels)
		for c := range got {
			if lag := lagOf(noise, got[c], 20*block, 24*block, 2048); lag != encoderDelay {
				t.Errorf("channel %d of %d lags by %d samples, want %d", c, channels, lag, encoderDelay)
			}
		}
	}
}

func TestEncodersShareNothing(t *testing.T) {
	alone := [][][]byte{
		encodeAll(t, 1, noise, 40),
		encodeAll(t, 2, func(i int) float64 { return 0.5 * math.Sin(float64(i)/20) }, 40),
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			signal := noise
			if i%2 == 1 {
				signal = func(i int) float64 { return 0.5 * math.Sin(float64(i)/20) }
			}
			for j, f := range encodeAll(t, 1+i%2, signal, 40) {
				if !bytes.Equal(f, alone[i%2][j]) {
					t.Errorf("encoder %d: frame %d differs from what an encoder alone makes", i, j)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSilenceIsSilence(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		made := encodeAll(t, channels, func(int) float64 { return 0 }, 20)
		canned := silenceFor(newTrack(0, channels == 2))[0]
		for what, frames := range map[string][][]byte{
			"what the encoder makes": made, "the ready frame": {canned, canned, canned, canned},
		} {
			for _, c := range decoded(t, frames, channels) {
				for i, v := range c {
					if v != 0 {
						t.Fatalf("%s, %d channels: sample %d is %g", what, channels, i, v)
					}
				}
			}
		}
	}
}
