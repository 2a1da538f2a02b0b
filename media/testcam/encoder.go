package testcam

// The encoder writes constrained baseline H.264 (ISO/IEC 14496-10; section
// numbers below are its own), CAVLC, one slice a picture, no loop filter.
// Its quantiser is chosen so that one step of a DC coefficient is one step of
// every sample (§8.5.10, §8.5.11.2): 28 for luma, 22 for chroma.
const (
	sliceQP        = 28
	chromaQPOffset = 22 - sliceQP
	frameNumBits   = 16
)

// NAL unit headers: nal_ref_idc 3 and the type of table 7-1.
const (
	nalSlice = 0x61
	nalIDR   = 0x65
	nalSPS   = 0x67
	nalPPS   = 0x68
)

// Macroblock types (tables 7-11 and 7-13): in a P slice the intra types follow
// the five inter ones.
const (
	mbI16x16   = 1
	mbPCM      = 25
	intraInP   = 5
	predictTop = 0 // Intra16x16PredMode, table 8-4
	predictDC  = 2
	predictAt  = 1 // from the left
)

// encoder turns a canvas into NAL units. It belongs to one goroutine.
type encoder struct {
	sps, pps []byte
	frameNum int
	idrID    int
	pcm      []bool // macroblocks of this picture that are I_PCM
	w        rbsp
	nal      []byte
}

func newEncoder(width, height, fps int) *encoder {
	c := newCanvas(width, height)
	return &encoder{
		sps: sequenceParameters(width, height, fps),
		pps: pictureParameters(),
		pcm: make([]bool, len(c.touched)),
	}
}

// sequenceParameters writes the SPS (§7.3.2.1.1) with timing, colour and the
// promise that no picture is reordered.
func sequenceParameters(width, height, fps int) []byte {
	var w rbsp
	w.u(8, 66)   // baseline
	w.u(8, 0xC0) // constraint_set0 and 1: constrained baseline
	level := uint32(31)
	if height > 720 {
		level = 42
	}
	w.u(8, level)
	w.ue(0)
	w.ue(frameNumBits - 4)
	w.ue(2) // pic_order_cnt_type: output order is decoding order
	w.ue(1) // max_num_ref_frames
	w.u(1, 0)
	w.ue((width+15)/16 - 1)
	w.ue((height+15)/16 - 1)
	w.u(2, 0b11) // frame_mbs_only, direct_8x8_inference
	if crop := -height & 15; crop > 0 {
		w.u(1, 1)
		w.ue(0)
		w.ue(0)
		w.ue(0)
		w.ue(crop / 2)
	} else {
		w.u(1, 0)
	}
	w.u(1, 1) // VUI (§E.1.1)
	w.u(2, 0)
	w.u(1, 1) // video_signal_type: unspecified format, limited range, BT.709
	w.u(3, 5)
	w.u(2, 0b01)
	w.u(24, 0x010101)
	w.u(1, 0)
	w.u(1, 1) // timing: two ticks a frame
	w.u(32, 1)
	w.u(32, uint32(2*fps))
	w.u(1, 1)
	w.u(3, 0) // no HRD, no pic_struct
	w.u(1, 1) // bitstream_restriction
	w.u(1, 1)
	w.ue(0)
	w.ue(0)
	w.ue(10)
	w.ue(10)
	w.ue(0) // max_num_reorder_frames
	w.ue(1)
	w.end()
	return appendNAL(nil, nalSPS, w.b)
}

// pictureParameters writes the PPS (§7.3.2.2).
func pictureParameters() []byte {
	var w rbsp
	w.ue(0)
	w.ue(0)
	w.u(2, 0) // CAVLC, no bottom field order
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.u(3, 0) // no weighted prediction
	w.se(sliceQP - 26)
	w.se(0)
	w.se(chromaQPOffset)
	w.u(3, 0b100) // deblocking control present
	w.end()
	return appendNAL(nil, nalPPS, w.b)
}

// encode writes the picture as one slice NAL unit, which is valid until the
// next call, and forgets which macroblocks were touched. A key picture is an
// IDR; any other codes only what was touched since the last call.
func (e *encoder) encode(c *canvas, key bool) []byte {
	e.w = rbsp{b: e.w.b[:0]}
	header := byte(nalSlice)
	if key {
		header = nalIDR
		e.frameNum = 0
		e.idrID ^= 1
	} else {
		e.frameNum = (e.frameNum + 1) & (1<<frameNumBits - 1)
	}
	e.sliceHeader(key)
	skipped := 0
	for i := range e.pcm {
		e.pcm[i] = false
		if !key && !c.touched[i] {
			skipped++
			continue
		}
		c.touched[i] = false
		typeOffset := 0
		if !key {
			e.w.ue(skipped)
			skipped = 0
			typeOffset = intraInP
		}
		e.macroblock(c, i, typeOffset)
	}
	if skipped > 0 {
		e.w.ue(skipped)
	}
	e.w.end()
	e.nal = appendNAL(e.nal[:0], header, e.w.b)
	return e.nal
}

// sliceHeader writes §7.3.3 for the one slice of a picture.
func (e *encoder) sliceHeader(key bool) {
	w := &e.w
	w.ue(0)
	if key {
		w.ue(7) // all slices are I
	} else {
		w.ue(5) // all slices are P
	}
	w.ue(0)
	w.u(frameNumBits, uint32(e.frameNum))
	if key {
		w.ue(e.idrID)
		w.u(2, 0) // output prior pictures, not long-term
	} else {
		w.u(3, 0) // default references, sliding window
	}
	w.se(0)
	w.ue(1) // no deblocking
}

// macroblock codes macroblock i, flat if it can be predicted without loss.
func (e *encoder) macroblock(c *canvas, i, typeOffset int) {
	x, y := i%c.mbsPerLine*16, i/c.mbsPerLine*16
	if col, ok := c.same(x, y, 16, 16); ok {
		if from, mode, ok := predictor(c, x, y); ok {
			e.flat(c, i, typeOffset, mode, int(col.y)-int(from.y), int(col.cb)-int(from.cb), int(col.cr)-int(from.cr))
			return
		}
	}
	e.pcm[i] = true
	e.w.ue(typeOffset + mbPCM)
	e.w.align()
	for row := range 16 {
		e.w.raw(c.y[(y+row)*c.w+x:][:16])
	}
	for _, plane := range [2][]byte{c.cb, c.cr} {
		for row := range 8 {
			e.w.raw(plane[(y/2+row)*c.w/2+x/2:][:8])
		}
	}
}

// predictor finds an edge of one colour to predict a macroblock from. The
// canvas serves as the decoder's picture, for nothing is lost.
func predictor(c *canvas, x, y int) (colour, int, bool) {
	if x > 0 {
		if col, ok := c.same(x-1, y, 1, 16); ok {
			return col, predictAt, true
		}
	}
	if y > 0 {
		if col, ok := c.same(x, y-1, 16, 1); ok {
			return col, predictTop, true
		}
	}
	return colour{128, 128, 128}, predictDC, x == 0 && y == 0
}

// flat writes an Intra_16x16 macroblock (§7.3.5) whose samples all differ from
// their prediction by dy, dcb and dcr.
func (e *encoder) flat(c *canvas, i, typeOffset, mode, dy, dcb, dcr int) {
	w := &e.w
	chroma := 0
	if dcb != 0 || dcr != 0 {
		chroma = 1
	}
	w.ue(typeOffset + mbI16x16 + mode + 4*chroma)
	// The chroma modes (table 8-5) are 0 DC, 1 horizontal, 2 vertical.
	w.ue([...]int{predictTop: 2, predictAt: 1, predictDC: 0}[mode])
	w.se(0) // mb_qp_delta
	// nC (§9.2.1) counts 16 for an I_PCM neighbour and 0 for all others.
	crowded := i%c.mbsPerLine > 0 && e.pcm[i-1] || i >= c.mbsPerLine && e.pcm[i-c.mbsPerLine]
	if crowded {
		w.dc(dy, tokensCrowded)
	} else {
		w.dc(dy, tokensFew)
	}
	if chroma == 1 {
		w.dc(dcb, tokensChromaDC)
		w.dc(dcr, tokensChromaDC)
	}
}

// token is a code of table 9-5.
type token struct{ bits, code int }

// tokens are the codes of no coefficient, one of any value, one of ±1.
type tokens struct{ none, one, unit token }

var (
	tokensFew      = tokens{token{1, 1}, token{6, 5}, token{2, 1}}
	tokensCrowded  = tokens{token{6, 3}, token{6, 0}, token{6, 1}}
	tokensChromaDC = tokens{token{2, 1}, token{6, 7}, token{1, 1}}
)

// dc writes a residual block (§7.3.5.3.3) with only its first coefficient.
func (w *rbsp) dc(level int, t tokens) {
	if level == 0 {
		w.u(t.none.bits, uint32(t.none.code))
		return
	}
	if level == 1 || level == -1 {
		w.u(t.unit.bits, uint32(t.unit.code))
		w.u(1, uint32(1-level)/2)
	} else {
		w.u(t.one.bits, uint32(t.one.code))
		w.level(level)
	}
	w.u(1, 1) // total_zeros 0
}

// level writes a coefficient other than 0 and ±1 with suffixLength 0
// (§9.2.2.1).
func (w *rbsp) level(level int) {
	code := 2*level - 4 // one less than usual: ±1 would have been a trailing one
	if level < 0 {
		code = -2*level - 3
	}
	switch {
	case code < 14:
		w.u(code+1, 1)
	case code < 30:
		w.u(15, 1)
		w.u(4, uint32(code-14))
	default:
		w.u(16, 1)
		w.u(12, uint32(code-30))
	}
}
