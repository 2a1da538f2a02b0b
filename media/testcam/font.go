package testcam

import (
	_ "embed" // the font
	"strings"
)

// fontText holds the letters: a line with the letter, then its rows of dots.
//
//go:embed font.txt
var fontText string

// A letter is 5×7 dots.
const (
	letterWidth  = 5
	letterHeight = 7
)

// font maps a letter to its dots, row by row.
type font map[byte][letterHeight]string

// parseFont reads the embedded letters.
func parseFont() font {
	lines := strings.Split(strings.TrimSpace(fontText), "\n")
	f := make(font)
	for ; len(lines) > letterHeight; lines = lines[1+letterHeight:] {
		f[lines[0][0]] = [letterHeight]string(lines[1 : 1+letterHeight])
	}
	return f
}

// label is a line of text at a fixed place. It draws only letters that changed.
type label struct {
	x, y, dot     int // of the first cell; samples per dot
	width, height int // of a cell
	ink, ground   colour
	shown         string
}

// write shows text; letters outside the font are blank.
func (l *label) write(c *canvas, f font, text string) {
	for i := range max(len(text), len(l.shown)) {
		if i < len(text) && i < len(l.shown) && text[i] == l.shown[i] {
			continue
		}
		x := l.x + i*l.width
		c.fill(x, l.y, l.width, l.height, l.ground)
		if i < len(text) {
			l.letter(c, x, f[text[i]])
		}
	}
	l.shown = text
}

func (l *label) letter(c *canvas, x int, rows [letterHeight]string) {
	for j, row := range rows {
		for i := range len(row) {
			if row[i] == '#' {
				c.fill(x+i*l.dot, l.y+j*l.dot, l.dot, l.dot, l.ink)
			}
		}
	}
}
