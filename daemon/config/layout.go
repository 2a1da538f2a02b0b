package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// What is wrong with the layout of a file is told where people mend it, which is
// seldom where the YAML library notices it.

// quoted finds the parts of the library's messages that repeat the file.
var quoted = regexp.MustCompile(`:?\s*"(?:[^"\\]|\\.){2,}"`)

func (s *source) syntaxError(err error, tokens token.Tokens) *Error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil || y.GetToken().Position == nil {
		return s.errorAt(1, 1, "", "cannot be read as YAML", "")
	}
	p, message := y.GetToken().Position, y.GetMessage()
	var better *Error
	switch {
	case strings.HasPrefix(message, "mapping value is not allowed"):
		better = s.deeper(p.Line, p.Column)
	case strings.HasPrefix(message, "value is not allowed"):
		better = s.unaligned(p.Line, p.Column)
	case strings.HasPrefix(message, "unexpected key name"), strings.HasPrefix(message, "non-map value"):
		better = s.noKey(p.Line)
	case strings.HasPrefix(message, "',' or"), strings.Contains(message, "not found"):
		better = s.unclosed(p, tokens)
	}
	if better != nil {
		return better
	}
	return s.errorAt(p.Line, p.Column, "", "not valid YAML: "+quoted.ReplaceAllString(message, ""), "")
}

// entry is a line: at what columns, from 0, its list items and its key begin.
type entry struct {
	columns []int // none: the line is empty or a comment
	text    string
}

func entryOf(line string) (e entry) {
	e.text = strings.TrimRight(line, " \t\r")
	for column := 0; ; column += 2 {
		rest := strings.TrimLeft(e.text[min(column, len(e.text)):], " ")
		column = len(e.text) - len(rest)
		if rest == "" || rest[0] == '#' {
			return e
		}
		e.columns = append(e.columns, column)
		if !strings.HasPrefix(rest, "- ") {
			e.text = rest
			return e
		}
	}
}

// key tells where the key of the line begins.
func (e entry) key() int { return e.columns[len(e.columns)-1] }

var keyLine = regexp.MustCompile(`^['"]?[A-Za-z0-9_.-]+['"]?:(?:\s|$)`)

// deeper finds that a line is indented under one that has a value already, or
// that a value has a colon. line and column are those of the value.
func (s *source) deeper(line, column int) *Error {
	here := s.lines[line-1]
	value := here[min(byteOffset(here, column), len(here)):]
	if strings.Contains(value, ": ") || strings.HasSuffix(strings.TrimRight(value, " \r"), ":") {
		return s.errorAt(line, column, "", "not valid YAML: a colon in a value", "put the value in quotes")
	}
	above := entryOf(here)
	for n := line + 1; n <= len(s.lines); n++ {
		e := entryOf(s.lines[n-1])
		if len(e.columns) == 0 {
			continue
		}
		if len(above.columns) == 0 || e.columns[0] <= above.key() {
			return nil
		}
		return s.errorAt(n, e.columns[0]+1, "", "not valid YAML: indented deeper than line "+fmt.Sprint(line)+
			", which has a value already", "want "+spaces(above.key()))
	}
	return nil
}

// unaligned finds that a line, whose place was complained about, is indented as
// none above it.
func (s *source) unaligned(line, column int) *Error {
	e := entryOf(s.lines[line-1])
	if len(e.columns) == 0 || column != e.columns[0]+1 {
		return nil
	}
	const none = -1
	at, less, more := e.columns[0], none, none
	for n, low := line-1, maxLine; n > 0 && low > 0; n-- {
		above := entryOf(s.lines[n-1])
		if len(above.columns) == 0 || above.columns[0] >= low {
			continue
		}
		for _, column := range above.columns {
			switch {
			case column == at:
				return nil
			case column < low && column < at:
				less = max(less, column)
			case column < low && (more == none || column < more):
				more = column
			}
		}
		low = above.columns[0]
	}
	hint := "want " + spaces(max(less, 0))
	if more != none {
		hint = fmt.Sprintf("want %d or %s", max(less, 0), spaces(more))
	}
	return s.errorAt(line, at+1, "", "not valid YAML: indented as no line above it", hint)
}

func spaces(n int) string {
	if n == 1 {
		return "1 space"
	}
	return fmt.Sprintf("%d spaces", n)
}

// noKey finds a line without a colon, or without the space behind it.
func (s *source) noKey(line int) *Error {
	e := entryOf(s.lines[line-1])
	if len(e.columns) == 0 || keyLine.MatchString(e.text) {
		return nil
	}
	at := e.key() + 1
	switch {
	case strings.ContainsAny(e.text[:1], "}]"):
		return s.errorAt(line, at, "", "not valid YAML: a bracket without one that it closes", "")
	case glued.MatchString(e.text):
		return s.errorAt(line, at, "", "not valid YAML: no space behind the colon", "write it as key: value")
	}
	return s.errorAt(line, at, "", "not valid YAML: no colon behind the key", "write it as key: value")
}

// glued is a key with its value without a space between them.
var glued = regexp.MustCompile(`^[a-z][a-z0-9_]*:[^\s/]`)

// unclosed finds the bracket of an earlier line that is not closed at p.
func (s *source) unclosed(p *token.Position, tokens token.Tokens) *Error {
	var open []*token.Token
	for _, t := range tokens {
		if t.Position == nil || t.Position.Offset > p.Offset {
			break
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open = append(open, t)
		case token.MappingEndType, token.SequenceEndType:
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 {
		return nil
	}
	last := open[len(open)-1]
	if last.Position.Line == p.Line && last.Position.Offset != p.Offset {
		return nil
	}
	return s.errorAt(last.Position.Line, last.Position.Column, "",
		fmt.Sprintf("not valid YAML: the %s is not closed", last.Value), "")
}
