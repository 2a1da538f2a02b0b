package hub

import (
	"errors"
	"strings"
	"unicode"
)

// maxText is the length in bytes of the longest text of a RefusalError.
const maxText = 200

// RefusalError says in words why an Opener gives no stream.
type RefusalError struct {
	kind error
	text string
}

// Refuse returns a *RefusalError that is kind, one of the errors of an Opener.
// text is for whoever has asked, who may be anybody: it holds no address and no
// secret. It is cut to 200 bytes in one line.
func Refuse(kind error, text string) error {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return &RefusalError{kind, strings.TrimSpace(text)}
}

// Error implements error.
func (e *RefusalError) Error() string { return e.text }

// Unwrap returns the kind.
func (e *RefusalError) Unwrap() error { return e.kind }

// Text returns the words, printable and in one line: fit for a status line.
func (e *RefusalError) Text() string { return e.text }

// Reason returns what a server tells a viewer of an error of an Opener: the
// text of a RefusalError, or else of what the error is among the errors of this
// package; empty for all others, whose text is not for strangers.
func Reason(err error) string {
	if r, ok := errors.AsType[*RefusalError](err); ok && r.text != "" {
		return r.text
	}
	for _, known := range []error{ErrNotFound, ErrDenied, ErrForbidden, ErrUnavailable} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return ""
}
