package audio

import "math"

// resampler turns samples of one rate into samples of 48 kHz by a polyphase
// low-pass, which is flat up to 0.40 of the lower rate.
type resampler struct {
	up, down int
	taps     [][]float32 // by phase; the first belongs to the oldest sample
	recent   []float32   // the newest input, span samples before the next output among them
	phase    int         // of the next output, in 1/up of an input sample
	delay    int64       // whole samples by which output lags behind input
}

// span is how many input samples make one of output.
const span = 24

// newResampler returns a resampler from a rate of at most 48 kHz.
func newResampler(from int) *resampler {
	g := gcd(rate, from)
	r := &resampler{up: rate / g, down: from / g}
	if r.up == r.down {
		return r
	}
	const (
		cutoff = 0.46 // of the input rate, where the filter is 6 dB down
		beta   = 5.65 // of the Kaiser window: 60 dB
	)
	n := r.up * span
	centre := float64(n-1) / 2
	r.delay = int64(centre / float64(r.down)) // stamps that are whole ticks stay so
	r.taps = make([][]float32, r.up)
	for p := range r.taps {
		r.taps[p] = make([]float32, span)
		sum := 0.0
		h := make([]float64, span)
		for k := range h {
			at := float64(p+k*r.up) - centre
			w := at / (centre + 1)
			h[k] = sinc(2*cutoff*at/float64(r.up)) * bessel(beta*math.Sqrt(1-w*w))
			sum += h[k]
		}
		for k, v := range h { // silence and any constant come out as they are
			r.taps[p][span-1-k] = float32(v / sum)
		}
	}
	r.recent = make([]float32, span-1)
	return r
}

// feed appends the output that in allows for to out.
func (r *resampler) feed(out, in []float32) []float32 {
	if r.taps == nil {
		return append(out, in...)
	}
	r.recent = append(r.recent, in...)
	at := 0
	for {
		for ; r.phase >= r.up; r.phase -= r.up {
			at++
		}
		if at+span > len(r.recent) {
			break
		}
		out = append(out, dot(r.taps[r.phase], r.recent[at:]))
		r.phase += r.down
	}
	r.recent = r.recent[:copy(r.recent, r.recent[at:])]
	return out
}

// forget makes the input so far silence.
func (r *resampler) forget() { clear(r.recent) }

// dot returns the inner product of two slices of span samples.
func dot(a, b []float32) float32 {
	a, b = a[:span], b[:span]
	var s0, s1, s2, s3 float32
	for i := 0; i < span; i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	return s0 + s1 + s2 + s3
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel returns the modified Bessel function of order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / 2 / k * x / 2 / k
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// stretch appends in to out with n samples more or, n < 0, fewer, all of them
// moved a little: what it changes is below hearing where in has few high tones.
func stretch(out, in []float32, n int) []float32 {
	if n == 0 || len(in) < 2 || len(in)+n < 2 {
		return append(out, in...)
	}
	step := float64(len(in)-1) / float64(len(in)+n-1)
	for i := range len(in) + n {
		at := float64(i) * step
		j := min(int(at), len(in)-2)
		f := float32(at - float64(j))
		out = append(out, in[j]+f*(in[j+1]-in[j]))
	}
	return out
}
