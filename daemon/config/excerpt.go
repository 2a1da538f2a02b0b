package config

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxExcerpt is the greatest number of characters shown of a line.
const maxExcerpt = 120

// excerpt is one line of a file with everything masked that may be a secret.
type excerpt struct {
	text  string
	caret int // characters before the caret
}

// harmless are the keys whose values may be shown. A list of what is secret
// would miss the misspelt password.
var harmless = regexp.MustCompile(`^(version|view|listen|socket|mode|segment|part|window|budget|budget_per_camera|` +
	`transport|keep|idle_after|start_timeout|audio|hls|camera|enabled|demand|limit|timeout|latency|pbkeylen|` +
	`platform|insecure|warm|role|interval)$`)

// keyed finds a key and its colon.
var keyed = regexp.MustCompile(`(^|[\s{,\[])['"]?([A-Za-z0-9_.-]+)['"]?\s*:(\s+|$)`)

// plain is a value that may be shown after a harmless key.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.:%/+-]+|^"[A-Za-z0-9_.:%/+-]*"`)

// mask stands for a value.
const mask = "***"

// masker writes a line with its values masked and follows a place in it.
type masker struct {
	line  string
	at    int // byte of the place
	out   strings.Builder
	caret int // characters written before the place; -1 until it was passed
}

// newExcerpt returns line with its values masked, and where column, counted in
// characters from 1, has got to.
func newExcerpt(line string, column int) excerpt {
	line = strings.TrimRight(strings.ToValidUTF8(line, "?"), "\r\n")
	m := &masker{line: line, at: byteOffset(line, column), caret: -1}
	pos, show, flow := 0, false, false
	for _, k := range keyed.FindAllStringSubmatchIndex(line, -1) {
		start := k[3] // behind what separates the key from what was before
		between := line[pos:start]
		// In block style a colon within a value begins no key.
		if flow = flow || strings.ContainsAny(between, "{["); pos > 0 && !flow {
			break
		}
		m.value(pos, start, show)
		m.verbatim(start, k[1])
		pos, show = k[1], harmless.MatchString(line[k[4]:k[5]])
	}
	m.value(pos, len(line), show)
	if m.caret < 0 {
		m.caret = utf8.RuneCountInString(m.out.String())
	}
	return excerpt{m.out.String(), m.caret}.cut()
}

// verbatim writes line[from:to] as it is.
func (m *masker) verbatim(from, to int) {
	if m.at >= from && m.at < to {
		m.caret = utf8.RuneCountInString(m.out.String()) + utf8.RuneCountInString(m.line[from:m.at])
	}
	m.out.WriteString(m.line[from:to])
}

// masked writes the mask in place of line[from:to].
func (m *masker) masked(from, to int) {
	if m.at >= from && m.at < to {
		m.caret = utf8.RuneCountInString(m.out.String())
	}
	m.out.WriteString(mask)
}

// value writes line[from:to], which is a value with the punctuation around it.
func (m *masker) value(from, to int, show bool) {
	s := m.line[from:to]
	lead := len(s) - len(strings.TrimLeft(s, " \t-{["))
	m.verbatim(from, from+lead)
	from += lead
	s = s[lead:]
	if show {
		n := len(plain.FindString(s))
		m.verbatim(from, from+n)
		from += n
		s = s[n:]
	}
	blank := len(s) - len(strings.TrimLeft(s, " \t,}]"))
	m.verbatim(from, from+blank)
	from += blank
	s = s[blank:]
	body := len(strings.TrimRight(s, " \t,}]"))
	if body > 0 {
		m.masked(from, from+body)
	}
	m.verbatim(from+body, to)
}

// cut shortens an excerpt and replaces characters that move the cursor.
func (e excerpt) cut() excerpt {
	r := []rune(e.text)
	for i, c := range r {
		if c < ' ' || c == 0x7f {
			r[i] = ' '
		}
	}
	if len(r) > maxExcerpt {
		r = append(r[:maxExcerpt:maxExcerpt], '…')
	}
	return excerpt{string(r), min(e.caret, len(r))}
}

// byteOffset returns the byte at which the character of that column begins.
func byteOffset(line string, column int) int {
	n := 0
	for i := range line {
		if n++; n == column {
			return i
		}
	}
	return len(line)
}
