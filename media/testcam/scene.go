package testcam

import (
	"fmt"
	"strings"
	"time"
)

// The scene is laid out on a grid of 80 × 45 units whatever the size of the
// picture; a unit is a multiple of 4 samples.
const (
	gridWidth  = 80
	gridHeight = 45
)

// Places on the grid.
const (
	barsHeight  = 12
	rampY       = 12
	rampHeight  = 2
	clockX      = 16
	clockY      = 16
	flashX      = 70
	flashY      = 16
	flashSide   = 6
	textX       = 16
	titleY      = 26
	dateY       = 30
	countY      = 34
	runnerX     = 4
	runnerY     = 38
	runnerWidth = 72
	codeX       = 8
	codeY       = 42
	codeSide    = 2
	codeBits    = 32
)

// scene draws picture after picture on one canvas.
type scene struct {
	*canvas
	unit, fps          int
	font               font
	clock, date, count label
	runner             int // where it is, in samples
	code               uint32
	lit                bool
}

// ground, ink and lamp are the colours of the scene; bars those at its top.
var (
	ground = colour{40, 136, 122}
	ink    = colour{220, 128, 128}
	lamp   = colour{200, 30, 140}
	bars   = [...]colour{
		{180, 128, 128},
		{168, 44, 136},
		{145, 147, 44},
		{133, 63, 52},
		{63, 193, 204},
		{51, 109, 212},
		{28, 212, 120},
		{16, 128, 128},
	}
)

// newScene draws what never changes.
func newScene(title string, height, fps int) *scene {
	u := height / gridHeight
	s := &scene{
		canvas: newCanvas(gridWidth*u, gridHeight*u),
		unit:   u,
		fps:    fps,
		font:   parseFont(),
		runner: runnerX * u,
		clock:  label{x: clockX * u, y: clockY * u, dot: u, width: 6 * u, height: 8 * u, ink: ink, ground: ground},
	}
	s.date, s.count = s.line(dateY), s.line(countY)
	s.fill(0, 0, s.w, s.h, ground)
	for i, col := range bars {
		w := gridWidth * u / len(bars)
		s.fill(i*w, 0, w, barsHeight*u, col)
	}
	s.fill(0, rampY*u, s.w, rampHeight*u, colour{128, 128, 128})
	s.shade(0, rampY*u, s.w, rampHeight*u, func(x, _ int) byte { return byte(16 + x*219/s.w) })
	name := s.line(titleY)
	name.write(s.canvas, s.font, fmt.Sprintf("%.12s %dX%d %d/S", strings.ToUpper(title), gridWidth*u, height, fps))
	s.flag(false)
	for bit := range codeBits {
		s.bit(bit, false)
	}
	return s
}

// line returns a label of small letters at row y of the grid.
func (s *scene) line(y int) label {
	u := s.unit
	return label{x: textX * u, y: y * u, dot: u / 4, width: 2 * u, height: 2 * u, ink: ink, ground: ground}
}

// draw brings the canvas to picture i, due at the given time.
func (s *scene) draw(i int64, due time.Time) {
	due = due.UTC()
	s.clock.write(s.canvas, s.font, due.Format("15:04:05"))
	s.date.write(s.canvas, s.font, due.Format("2006-01-02 05.000 UTC"))
	s.count.write(s.canvas, s.font, fmt.Sprintf("FRAME %08d", i%100_000_000))
	s.run(i)
	if lit := due.Nanosecond() < int(beep); lit != s.lit {
		s.flag(lit)
	}
	for bit := range codeBits {
		if on := uint32(i)>>bit&1 == 1; on != (s.code>>bit&1 == 1) {
			s.bit(bit, on)
		}
	}
	s.code = uint32(i)
}

// run moves a textured square from side to side, an eighth of a unit a picture.
func (s *scene) run(i int64) {
	u := s.unit
	side, step := 2*u, max(2, u/8&^1)
	way := int64((runnerWidth*u - side) / step)
	at := i % (2 * way)
	at = min(at, 2*way-at)
	s.fill(s.runner, runnerY*u, side, side, ground)
	s.runner = runnerX*u + int(at)*step
	s.fill(s.runner, runnerY*u, side, side, colour{128, 90, 190})
	s.shade(s.runner, runnerY*u, side, side, func(x, y int) byte { return byte(60 + (x*y+x+y)*160/(side*side+2*side)) })
}

// flag lights the lamp that goes with the beep.
func (s *scene) flag(lit bool) {
	col := colour{60, 128, 128}
	if lit {
		col = lamp
	}
	u := s.unit
	s.fill(flashX*u, flashY*u, flashSide*u, flashSide*u, col)
	s.lit = lit
}

// bit shows one bit of the picture's number, the highest at the left.
func (s *scene) bit(bit int, on bool) {
	col := colour{16, 128, 128}
	if on {
		col = colour{235, 128, 128}
	}
	u := s.unit
	s.fill((codeX+codeSide*(codeBits-1-bit))*u, codeY*u, codeSide*u, codeSide*u, col)
}

// ReadNumber returns the low 32 bits of the number of the picture whose decoded
// luma plane is given, and false if it shows none. Picture n is due n frame
// intervals after the Unix epoch. The plane has no padding; it may have been
// scaled and coded again by others.
func ReadNumber(luma []byte, width, height int) (uint32, bool) {
	if width < gridWidth || height < gridHeight || len(luma) < width*height {
		return 0, false
	}
	at := func(x, y int) byte { return luma[y*height/gridHeight*width+x*width/gridWidth] }
	var n uint32
	for bit := range codeBits {
		// The corner that four units of a cell share is its middle.
		switch v := at(codeX+codeSide*bit+1, codeY+1); {
		case v > 160:
			n = n<<1 | 1
		case v < 90:
			n <<= 1
		default:
			return 0, false
		}
	}
	return n, true
}
