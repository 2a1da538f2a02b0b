package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in the configuration, or one warning.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`           // from 1; 0 if the mistake has no place in the file
	Column  int    `json:"column"`         // in characters, from 1; 0 as Line
	Key     string `json:"key,omitempty"`  // dotted path, cameras.gate.url
	Message string `json:"message"`        // without secrets
	Hint    string `json:"hint,omitempty"` // what to do about it
	// Excerpt is the line with all values masked that may be secret, and below it a caret.
	Excerpt string `json:"excerpt,omitempty"`
}

// Error returns file:line:column, key, message and hint in one line.
func (e *Error) Error() string {
	s := e.place() + ": " + e.text()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *Error) place() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

func (e *Error) text() string {
	if e.Key == "" {
		return e.Message
	}
	return e.Key + ": " + e.Message
}

// Errors is all that is wrong with a configuration, in order of place. It is
// the type of every error of Parse and Load.
type Errors []*Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// MarshalJSON makes no mistakes an empty list.
func (e Errors) MarshalJSON() ([]byte, error) { return json.Marshal(append([]*Error{}, e...)) }

// Unwrap returns the mistakes, for errors.As.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// sorted sorts by line and column within the files, which keep their order.
func (e Errors) sorted(files []string) Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		if a.File != b.File {
			return slices.Index(files, a.File) - slices.Index(files, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return e
}

// Format returns what is wrong for people at a terminal: each mistake with the
// line it stands in and a caret. Errors of other origin are one line.
func Format(err error, color bool) string {
	if err == nil {
		return ""
	}
	var all Errors
	if !errors.As(err, &all) {
		return err.Error() + "\n"
	}
	return all.format("error", "31", color)
}

// FormatWarnings is Format for Config.Warnings.
func FormatWarnings(warnings Errors, color bool) string {
	return warnings.format("warning", "33", color)
}

func (e Errors) format(word, code string, color bool) string {
	paint := func(code, s string) string { return s }
	if color {
		paint = func(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }
	}
	var b strings.Builder
	for _, one := range e {
		fmt.Fprintf(&b, "%s %s %s", one.place(), paint(code, word), one.text())
		if one.Hint != "" {
			fmt.Fprintf(&b, " (%s)", one.Hint)
		}
		b.WriteByte('\n')
		if line, caret, ok := strings.Cut(one.Excerpt, "\n"); ok {
			margin := fmt.Sprintf("%5d | ", one.Line)
			blank := strings.Repeat(" ", len(margin)+len(caret)-1)
			fmt.Fprintf(&b, "%s%s\n%s%s\n", margin, line, blank, paint(code, "^"))
		}
	}
	return b.String()
}
