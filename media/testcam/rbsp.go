package testcam

import "math/bits"

// rbsp writes the bit syntax of H.264 (§7.2) into b.
type rbsp struct {
	b   []byte
	acc uint64 // the last n bits, not yet in b
	n   int    // 0 to 7 between calls
}

// u writes the low n bits of v, n ≤ 32.
func (w *rbsp) u(n int, v uint32) {
	w.acc = w.acc<<n | uint64(v)&(1<<n-1)
	w.n += n
	for w.n >= 8 {
		w.n -= 8
		w.b = append(w.b, byte(w.acc>>w.n))
	}
}

// ue writes an unsigned Exp-Golomb code (§9.1).
func (w *rbsp) ue(v int) {
	code := uint32(v) + 1
	w.u(2*bits.Len32(code)-1, code)
}

// se writes a signed Exp-Golomb code (§9.1.1).
func (w *rbsp) se(v int) {
	if v > 0 {
		w.ue(2*v - 1)
		return
	}
	w.ue(-2 * v)
}

// align pads with zero bits to the next byte.
func (w *rbsp) align() {
	if w.n > 0 {
		w.u(8-w.n, 0)
	}
}

// raw appends whole bytes; the writer must be aligned.
func (w *rbsp) raw(p []byte) { w.b = append(w.b, p...) }

// end writes the stop bit and pads to a byte (§7.3.2.11).
func (w *rbsp) end() {
	w.u(1, 1)
	w.align()
}

// appendNAL appends a NAL unit without start code to dst: the header byte and
// payload with emulation prevention bytes (§7.4.1).
func appendNAL(dst []byte, header byte, payload []byte) []byte {
	dst = append(dst, header)
	zeros := 0
	for _, c := range payload {
		if zeros == 2 && c <= 3 {
			dst = append(dst, 3)
			zeros = 0
		}
		dst = append(dst, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}
