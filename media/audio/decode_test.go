package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ffmpeg returns what ffmpeg makes of in.
func ffmpeg(tb testing.TB, in []byte, args ...string) []byte {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "in")
	if err := os.WriteFile(file, in, 0o600); err != nil {
		tb.Fatal(err)
	}
	for i := range args {
		if args[i] == "IN" {
			args[i] = file
		}
	}
	cmd := exec.CommandContext(tb.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		tb.Fatalf("ffmpeg %v: %v\n%s", args, err, &stderr)
	}
	return stdout.Bytes()
}

// TestDecodersAgreeWithFFmpeg decodes every code of G.711, and sound in G.722.
func TestDecodersAgreeWithFFmpeg(t *testing.T) {
	codes := make([]byte, 256)
	for i := range codes {
		codes[i] = byte(i)
	}
	var sweep []byte
	for i := range 32000 {
		x := float64(i) / 16000
		v := 9000*math.Sin(2*math.Pi*(200+1500*x)*x) + 6000*math.Sin(2*math.Pi*5000*x)*math.Sin(3*x)
		sweep = binary.LittleEndian.AppendUint16(sweep, uint16(int16(v)))
	}
	g722 := ffmpeg(t, sweep, "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "IN", "-c:a", "g722", "-f", "g722", "-")
	for _, tc := range []struct {
		name, format string
		dec          decoder
		in           []byte
	}{
		{"A-law", "alaw", newALaw(), codes},
		{"μ-law", "mulaw", newMuLaw(), codes},
		{"G.722", "g722", newG722(), g722},
		{"L16", "s16be", linear{}, sweep},
	} {
		rate := []string{"-ar", "8000"}
		if tc.format == "g722" {
			rate = nil
		}
		want := ffmpeg(t, tc.in, append(append([]string{"-f", tc.format}, rate...), "-i", "IN", "-f", "s16le", "-")...)
		got := tc.dec.decode(nil, tc.in)
		if len(got) != len(want)/2 {
			t.Errorf("%s: %d samples, ffmpeg has %d", tc.name, len(got), len(want)/2)
			continue
		}
		for i, v := range got {
			if w := int16(binary.LittleEndian.Uint16(want[2*i:])); v != float32(w) {
				t.Errorf("%s: sample %d is %g, ffmpeg has %d", tc.name, i, v, w)
				break
			}
		}
	}
}

// TestResampler measures the level of tones of all rates, the level of what is
// there beside them, and the delay.
func TestResampler(t *testing.T) {
	for _, from := range rates {
		for _, share := range []float64{0.02, 0.125, 0.25, 0.39} { // of the rate; phones have 0.3 … 3.4 kHz
			hz := share * float64(from)
			r := newResampler(from)
			var out []float32
			const n = 20
			for i := range n { // in uneven pieces
				var in []float32
				for j := range from / n {
					in = append(in, float32(math.Sin(2*math.Pi*hz*float64(i*(from/n)+j)/float64(from))))
				}
				cut := len(in) * (i % 7) / 7
				out = r.feed(out, in[:cut])
				out = r.feed(out, in[cut:])
			}
			if d := len(out) - rate*(from/n*n)/from; d < -1 || d > 1 {
				t.Errorf("%d Hz: %d samples of one second", from, len(out))
			}
			lag := float64(r.up*span-1) / 2 / float64(r.up*from)
			if r.up == r.down {
				lag = 0
			}
			if d := lag*rate - float64(r.delay); d < 0 || d >= 1 {
				t.Errorf("%d Hz: a delay of %d samples, which is off by %.2f", from, r.delay, d)
			}
			worst := 0.0
			for i := 8000; i < 40000; i++ {
				want := math.Sin(2 * math.Pi * hz * (float64(i)/rate - lag))
				worst = max(worst, math.Abs(float64(out[i])-want))
			}
			if worst > 0.012 { // −38 dB: level, phase and images together
				t.Errorf("%d Hz: a tone of %.0f Hz is off by %.4f", from, hz, worst)
			}
		}
	}
	constant := newResampler(8000).feed(nil, []float32{0: 0, 99: 0})
	for _, v := range constant {
		if v != 0 {
			t.Fatal("silence is not silent")
		}
	}
}

func TestStretch(t *testing.T) {
	for _, n := range []int{-48, -1, 0, 1, 48} {
		in := make([]float32, 960)
		for i := range in {
			in[i] = float32(i)
		}
		out := stretch(nil, in, n)
		if len(out) != 960+n || out[0] != 0 || math.Abs(float64(out[len(out)-1])-959) > 0.01 {
			t.Errorf("%+d: %d samples from %g to %g", n, len(out), out[0], out[len(out)-1])
		}
	}
	if out := stretch(nil, []float32{1}, -1); len(out) != 1 {
		t.Error("a single sample must stay")
	}
}
