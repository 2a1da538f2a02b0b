package audio

// g722 decodes ITU-T G.722 at 64 kbit/s: two samples of 16 kHz per byte. The
// names of the blocks are those of the recommendation.
type g722 struct {
	low, high band
	qmf       [24]int // of the receive filter: sums and differences of the bands
}

// band is the state of one of the two sub-bands (§4.1.2, §4.2).
type band struct {
	det, nb   int // scale factor and its logarithm
	s, sz     int // predicted signal, and the part of the zeros
	r, p      [3]int
	a         [3]int
	d, b      [7]int
	maxNB     int
	scale     int // of SCALEL or SCALEH
	logScaled [8]int
}

// newG722 returns a decoder as it is at the beginning of a stream.
func newG722() *g722 {
	return &g722{
		low:  band{det: 32, maxNB: 18432, scale: 8, logScaled: [8]int{-60, -30, 58, 172, 334, 538, 1198, 3042}},
		high: band{det: 8, maxNB: 22528, scale: 10, logScaled: [8]int{0, -214, 798}},
	}
}

// Tables of the recommendation: the inverse quantizers of 6, 4 and 2 bits
// (tables 14 and 17), the indices of the scale factors (tables 15 and 18), the
// inverse logarithm (table 13) and the filter of the bands (table 11).
var (
	qm6 = [64]int{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
		-7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
		-728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	qm4 = [16]int{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	qm2  = [4]int{-7408, -1616, 7408, 1616}
	rl42 = [16]int{0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0}
	rh2  = [4]int{2, 1, 2, 1}
	ilb  = [32]int{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
	qmf = [12]int{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
)

// decode implements decoder.
func (g *g722) decode(out []float32, frame []byte) []float32 {
	for _, code := range frame {
		il, ih := int(code&0x3f), int(code>>6)
		rl := reconstruct(g.low.s + g.low.det*qm6[il]>>15)
		g.low.adapt(g.low.det*qm4[il>>2]>>15, rl42[il>>2])
		d := g.high.det * qm2[ih] >> 15
		rh := reconstruct(g.high.s + d)
		g.high.adapt(d, rh2[ih])

		copy(g.qmf[:], g.qmf[2:])
		g.qmf[22], g.qmf[23] = rl+rh, rl-rh
		even, odd := 0, 0
		for i, c := range qmf {
			even += g.qmf[2*i] * c
			odd += g.qmf[2*i+1] * qmf[11-i]
		}
		out = append(out, float32(saturate(odd>>11)), float32(saturate(even>>11)))
	}
	return out
}

// adapt takes the quantized difference signal and the index of its scale.
func (b *band) adapt(d, index int) {
	b.nb = min(max(b.nb*127>>7+b.logScaled[index], 0), b.maxNB) // LOGSCL, LOGSCH
	det, shift := ilb[b.nb>>6&31], b.scale-b.nb>>11             // SCALEL, SCALEH
	if shift < 0 {
		det <<= -shift
	} else {
		det >>= shift
	}
	b.det = det << 2
	b.d[0] = d
	b.r[0] = saturate(b.s + d)  // RECONS
	b.p[0] = saturate(b.sz + d) // PARREC
	b.poles()
	b.zeros()
	copy(b.r[1:], b.r[:2])
	copy(b.p[1:], b.p[:2])
	b.predict()
}

// poles adapts the second order predictor: UPPOL2, UPPOL1.
func (b *band) poles() {
	same := func(i int) int { // 1 if the signs of p[0] and p[i] are equal, else -1
		if b.p[0]>>15 == b.p[i]>>15 {
			return 1
		}
		return -1
	}
	a1 := saturate(b.a[1] << 2)
	a2 := min(-same(1)*a1, 32767)>>7 + 128*same(2) + b.a[2]*32512>>15
	b.a[2] = within(a2, 12288)
	b.a[1] = within(saturate(192*same(1)+b.a[1]*32640>>15), 15360-b.a[2])
}

// zeros adapts the sixth order predictor: UPZERO, DELAYA.
func (b *band) zeros() {
	step := 128
	if b.d[0] == 0 {
		step = 0
	}
	for i := 6; i > 0; i-- {
		s := step
		if b.d[i]>>15 != b.d[0]>>15 {
			s = -step
		}
		b.b[i] = saturate(s + b.b[i]*32640>>15)
	}
	copy(b.d[1:], b.d[:6])
}

// predict predicts the next sample: FILTEP, FILTEZ, PREDIC.
func (b *band) predict() {
	sp := saturate(b.a[1]*saturate(2*b.r[1])>>15 + b.a[2]*saturate(2*b.r[2])>>15)
	sz := 0
	for i := 6; i > 0; i-- {
		sz += b.b[i] * saturate(2*b.d[i]) >> 15
	}
	b.sz = saturate(sz)
	b.s = saturate(sp + b.sz)
}

// saturate returns v as a number of 16 bits.
func saturate(v int) int { return min(max(v, -1<<15), 1<<15-1) }

// reconstruct returns v as a number of 15 bits.
func reconstruct(v int) int { return min(max(v, -1<<14), 1<<14-1) }

// within returns v limited to ±most.
func within(v, most int) int { return min(max(v, -most), most) }
