package testcam

import "bytes"

// colour is one Y'CbCr value, BT.709, limited range. It never holds 0, so that
// I_PCM samples need no emulation prevention.
type colour struct{ y, cb, cr byte }

// canvas is a 4:2:0 picture whose sides are whole macroblocks. Drawing marks
// the macroblocks it touches; coordinates and sizes are even and inside.
type canvas struct {
	w, h       int // luma samples, multiples of 16
	y, cb, cr  []byte
	touched    []bool // macroblocks in raster order
	mbsPerLine int
}

func newCanvas(width, height int) *canvas {
	w, h := (width+15)&^15, (height+15)&^15
	return &canvas{
		w: w, h: h, mbsPerLine: w / 16,
		y: make([]byte, w*h), cb: make([]byte, w*h/4), cr: make([]byte, w*h/4),
		touched: make([]bool, w/16*(h/16)),
	}
}

// fill paints a rectangle.
func (c *canvas) fill(x, y, w, h int, col colour) {
	c.touch(x, y, w, h)
	for i := range h {
		set(c.y[(y+i)*c.w+x:][:w], col.y)
	}
	for i := range h / 2 {
		at := (y/2+i)*c.w/2 + x/2
		set(c.cb[at:][:w/2], col.cb)
		set(c.cr[at:][:w/2], col.cr)
	}
}

func set(p []byte, v byte) {
	p[0] = v
	for n := 1; n < len(p); n *= 2 {
		copy(p[n:], p[:n])
	}
}

// shade replaces the luma of a rectangle by f(x, y), coordinates inside it.
func (c *canvas) shade(x, y, w, h int, f func(x, y int) byte) {
	c.touch(x, y, w, h)
	for i := range h {
		row := c.y[(y+i)*c.w+x:][:w]
		for j := range row {
			row[j] = f(j, i)
		}
	}
}

func (c *canvas) touch(x, y, w, h int) {
	for my := y / 16; my <= (y+h-1)/16; my++ {
		for mx := x / 16; mx <= (x+w-1)/16; mx++ {
			c.touched[my*c.mbsPerLine+mx] = true
		}
	}
}

// same tells whether every sample of a rectangle has the colour of its first.
func (c *canvas) same(x, y, w, h int) (colour, bool) {
	l, k := y*c.w+x, (y/2)*(c.w/2)+x/2
	col := colour{c.y[l], c.cb[k], c.cr[k]}
	cw, ch := (w+1)/2, (h+1)/2
	ok := uniform(c.y[l:], c.w, w, h) && uniform(c.cb[k:], c.w/2, cw, ch) && uniform(c.cr[k:], c.w/2, cw, ch)
	return col, ok
}

func uniform(p []byte, stride, w, h int) bool {
	for i := range h {
		row := p[i*stride:][:w]
		if row[0] != p[0] || !bytes.Equal(row[1:], row[:w-1]) {
			return false
		}
	}
	return true
}
