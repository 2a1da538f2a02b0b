package config

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxExcerpt is the greatest number of characters shown of a line, maxLine the
// number of bytes looked at.
const (
	maxExcerpt = 120
	maxLine    = 4096
)

// excerpt is one line of a file with everything masked that may be a secret.
type excerpt struct {
	text  string
	caret int // characters before the caret
}

// lines returns the line and below it the caret; nothing for an empty line.
func (e excerpt) lines() string {
	if e.text == "" {
		return ""
	}
	return e.text + "\n" + strings.Repeat(" ", e.caret) + "^"
}

// harmless are the keys whose values may be shown. A list of what is secret
// would miss the misspelt password.
var harmless = regexp.MustCompile(`^(version|view|listen|socket|mode|segment|part|window|budget|budget_per_camera|` +
	`transport|keep|idle_after|start_timeout|audio|hls|camera|enabled|demand|limit|timeout|latency|pbkeylen|` +
	`platform|insecure|warm|timezone|on_idle|role|interval|on_error|priority|hold_off|` +
	`empty_means_all|stalled_after|max_connections|max_per_address|range|port|rtsp|dash|mpegts|flv|rtmp|srt|images|` +
	`ladder|retry|on_invalid|confirm|enhanced|legacy_hevc|failures|after|return)$`)

// keyed is a key with its colon.
var keyed = regexp.MustCompile(`^['"]?([A-Za-z0-9_.-]+)['"]?\s*:(?:\s+|$)`)

// plain is a value that may be shown after a harmless key.
var plain = regexp.MustCompile(`^(?:[A-Za-z0-9_.:%/+-]+|"[A-Za-z0-9_.:%/+-]*")`)

// mask stands for a value.
const mask = "***"

// masker writes a line with its values masked and follows a place in it.
type masker struct {
	line  string
	pos   int // bytes of line that are written
	at    int // byte of the place
	out   strings.Builder
	caret int // characters written before the place; -1 until it was passed
}

// newExcerpt returns line with its values masked, and where column, counted in
// characters from 1, has got to.
func newExcerpt(line string, column int) excerpt { return maskLine(line, column).cut() }

// maskLine is newExcerpt for a line that is shown whole.
func maskLine(line string, column int) excerpt {
	line = strings.TrimRight(strings.ToValidUTF8(line[:min(len(line), maxLine)], "?"), "\r\n")
	m := &masker{line: line, at: byteOffset(line, column), caret: -1}
	flow := false
	for more := true; more; {
		n := punctuation(line[m.pos:])
		flow = flow || strings.ContainsAny(line[m.pos:m.pos+n], "{[")
		m.show(n)
		key := keyed.FindStringSubmatch(line[m.pos:])
		if key == nil {
			break
		}
		m.show(len(key[0]))
		more = m.value(flow, harmless.MatchString(key[1]))
	}
	m.mask(len(line) - m.pos)
	if m.caret < 0 {
		m.caret = utf8.RuneCountInString(m.out.String())
	}
	return excerpt{m.out.String(), m.caret}
}

// punctuation returns the length of what stands between values in s.
func punctuation(s string) int { return len(s) - len(strings.TrimLeft(s, " \t-,{}[]")) }

// value writes the value that begins here, and tells whether a key may follow.
// In block style whatever follows belongs to the value.
func (m *masker) value(flow, harmless bool) bool {
	rest := m.line[m.pos:]
	n, ends := len(rest), true
	switch {
	case rest == "" || strings.IndexByte("{[,}]", rest[0]) >= 0:
		return true
	case rest[0] == '"' || rest[0] == '\'':
		n, ends = quotedLength(rest)
	case flow:
		if i := strings.IndexAny(rest, ",}]"); i >= 0 {
			n = len(strings.TrimRight(rest[:i], " \t"))
		}
	}
	if shown := len(plain.FindString(rest[:n])); harmless {
		m.show(shown)
		n -= shown
	}
	m.mask(n)
	return ends && flow
}

// quotedLength returns the length of the quoted string that s begins with, and
// whether it ends in s.
func quotedLength(s string) (int, bool) {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i + 1, true
		}
	}
	return len(s), false
}

// show writes the next n bytes as they are.
func (m *masker) show(n int) {
	if m.at >= m.pos && m.at < m.pos+n {
		m.caret = utf8.RuneCountInString(m.out.String()) + utf8.RuneCountInString(m.line[m.pos:m.at])
	}
	m.out.WriteString(m.line[m.pos : m.pos+n])
	m.pos += n
}

// mask writes the mask in place of the next n bytes, with the blanks and
// closing brackets around them as they are.
func (m *masker) mask(n int) {
	s := m.line[m.pos : m.pos+n]
	lead := len(s) - len(strings.TrimLeft(s, " \t"))
	m.show(lead)
	s = s[lead:]
	body := len(strings.TrimRight(s, " \t}]"))
	if body > 0 {
		if m.at >= m.pos && m.at < m.pos+body {
			m.caret = utf8.RuneCountInString(m.out.String())
		}
		m.out.WriteString(mask)
		m.pos += body
	}
	m.show(len(s) - body)
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
