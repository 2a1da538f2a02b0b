package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// source is one file.
type source struct {
	name    string
	dir     string // relative names of secrets start there
	open    bool   // everybody on the box can read it
	machine bool   // others win over it
	lines   []string
	root    ast.Node // nil if the file holds no value
}

// errorAt returns a mistake at a place in the file. Line and column are bent
// into the file.
func (s *source) errorAt(line, column int, key, message, hint string) *Error {
	line = min(max(line, 1), max(len(s.lines), 1))
	text := ""
	if len(s.lines) > 0 {
		text = s.lines[line-1]
	}
	column = min(max(column, 1), utf8.RuneCountInString(strings.TrimRight(text, "\r"))+1)
	return &Error{
		File: s.name, Line: line, Column: column, Key: key, Message: message, Hint: hint,
		Excerpt: newExcerpt(text, column).lines(),
	}
}

// readTree parses the text of a file into a tree that is safe to walk: of
// bounded depth and width, without anchors.
func readTree(name string, data []byte) (*source, *Error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	s := &source{name: name, dir: filepath.Dir(name)}
	if len(data) > maxFile {
		return s, &Error{File: name, Message: "the file is larger than 1 MiB"}
	}
	s.lines = strings.Split(string(data), "\n")
	if err := s.checkText(); err != nil {
		return s, err
	}
	var bad *Error
	if err := contained(func() { bad = s.parse(string(data)) }); err != nil {
		return s, s.errorAt(1, 1, "", "cannot be read as YAML", "")
	}
	return s, bad
}

// contained calls f and turns a panic of the YAML library into an error.
func contained(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("panic")
		}
	}()
	f()
	return nil
}

// checkText refuses characters that YAML 1.2 forbids.
func (s *source) checkText() *Error {
	for i, line := range s.lines {
		column, indent := 0, true
		for j, r := range line {
			column++
			switch {
			case r == utf8.RuneError && !strings.HasPrefix(line[j:], string(utf8.RuneError)):
				return s.errorAt(i+1, column, "", "not UTF-8", "save the file as UTF-8")
			case r == '\t' && indent:
				return s.errorAt(i+1, column, "", "a tab in the indentation", "indent with spaces")
			case r < ' ' && r != '\t' && (r != '\r' || j != len(line)-1), r == 0x7f, r == 0xfeff:
				return s.errorAt(i+1, column, "", fmt.Sprintf("forbidden character %U", r), "")
			}
			indent = indent && r == ' '
		}
	}
	return nil
}

// parse sets root.
func (s *source) parse(text string) *Error {
	tokens := lexer.Tokenize(text)
	if err := s.checkTokens(tokens); err != nil {
		return err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return s.syntaxError(err, tokens)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) > 1 {
		p := bodies[1].GetToken().Position
		return s.errorAt(p.Line, 1, "", "a second document", "one file holds one document")
	}
	if len(bodies) == 1 {
		s.root = bodies[0]
	}
	return nil
}

// checkTokens bounds what the parser is given: its time grows with the square
// of depth and width. It also refuses what this configuration does without.
func (s *source) checkTokens(tokens token.Tokens) *Error {
	var shape shape
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		fail := func(message, hint string) *Error {
			return s.errorAt(t.Position.Line, t.Position.Column, "", message, hint)
		}
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return fail("anchors and aliases are not supported", "put common settings under defaults")
		case token.TagType:
			return fail("tags are not supported", "quote a value to make it a string")
		case token.DirectiveType:
			return fail("directives are not supported", "")
		case token.MappingKeyType:
			return fail("complex keys are not supported", "")
		case token.StringType:
			if strings.Contains(t.Value, ": ") || strings.Contains(t.Value, " #") { // the library takes both
				return fail("not valid YAML: a colon or # in a value",
					"put the value in quotes, or a comma before the next key")
			}
		}
		switch shape.add(t); {
		case shape.depth() > maxDepth:
			return fail(fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		case shape.width() > maxWidth:
			return fail(fmt.Sprintf("more than %d entries in one place", maxWidth), "")
		case shape.total > maxValues:
			return fail(fmt.Sprintf("more than %d values", maxValues), "")
		}
	}
	return nil
}

// shape follows depth and width of the collections in a run of tokens, without
// a parser: it may count too much by one, never too little.
type shape struct {
	flow  []int   // entries of the flow collections that are open
	block []level // block collections by column
	total int
	line  int // of the last token
}

type level struct{ column, entries int }

func (s *shape) depth() int { return len(s.flow) + len(s.block) }

func (s *shape) width() int {
	switch {
	case len(s.flow) > 0:
		return s.flow[len(s.flow)-1]
	case len(s.block) > 0:
		return s.block[len(s.block)-1].entries
	}
	return 0
}

func (s *shape) add(t *token.Token) {
	first := t.Position.Line != s.line
	s.line = t.Position.Line
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		s.flow = append(s.flow, 1)
	case token.MappingEndType, token.SequenceEndType:
		s.flow = s.flow[:max(0, len(s.flow)-1)]
	case token.CollectEntryType:
		s.total++
		if len(s.flow) > 0 {
			s.flow[len(s.flow)-1]++
		}
	case token.MappingValueType:
		s.total++
		if len(s.flow) > 0 {
			s.flow[len(s.flow)-1]++
		}
	case token.SequenceEntryType:
		s.total++
		s.enter(t.Position.Column)
	default:
		if first && len(s.flow) == 0 {
			s.enter(t.Position.Column)
		}
	}
}

// enter counts an entry of the block collection that begins at column.
func (s *shape) enter(column int) {
	for len(s.block) > 0 && s.block[len(s.block)-1].column > column {
		s.block = s.block[:len(s.block)-1]
	}
	if len(s.block) == 0 || s.block[len(s.block)-1].column < column {
		s.block = append(s.block, level{column: column})
	}
	s.block[len(s.block)-1].entries++
}
