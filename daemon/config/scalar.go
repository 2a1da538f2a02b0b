package config

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// digits is a number to YAML 1.2 that the library takes for a string, 0189.
var digits = regexp.MustCompile(`^[-+]?[0-9]+$`)

// text returns the value as a string. Numbers and truth values are no strings:
// whoever means the password 0123 has to quote it, or it is another one.
func (v value) text() (string, bool) {
	if v.describes("string") {
		return "", false
	}
	switch n := v.node.(type) {
	case *ast.StringNode:
		if n.GetToken().Type == token.StringType && digits.MatchString(n.Value) {
			v.fail("want a string, got a number", "put it in quotes")
			return "", false
		}
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case nil, *ast.NullNode:
		v.fail("has no value", "")
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		v.failf("want a string, got %s", v.describe())
	default:
		v.fail("want a string, got "+v.describe(), "put it in quotes")
	}
	return "", false
}

// str takes a string of 1 to limit bytes without line breaks.
func str(dst *string, limit int) func(value) {
	return func(v value) {
		if v.describes("string") {
			v.schema.MinLength, v.schema.MaxLength = 1, limit
			return
		}
		s, ok := v.text()
		switch {
		case !ok:
		case strings.Contains(s, "${"):
			v.fail("only secrets may be credentials", "${cred:…} works for passwords, passphrases and keys")
		case len(s) == 0 || len(s) > limit || strings.ContainsAny(s, "\r\n\x00"):
			v.failf("want 1 to %d bytes in one line", limit)
		default:
			*dst = s
		}
	}
}

// word takes one of the given words.
func word[T ~string](dst *T, words ...T) func(value) {
	return func(v value) {
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		if v.describes() {
			v.schema.Enum = known
			if *dst != "" {
				v.schema.Default = string(*dst)
			}
			return
		}
		if !v.isWord() {
			v.fail("want "+oneOf(known)+", got "+v.describe(), forms[v.last()])
			return
		}
		s, ok := v.text()
		if !ok {
			return
		}
		if !slices.Contains(words, T(s)) {
			hint := closest(s, known)
			if hint == "" {
				hint = forms[v.last()]
			}
			v.fail(fmt.Sprintf("unknown value %q, want %s", shorten(s), oneOf(known)), hint)
			return
		}
		*dst = T(s)
	}
}

// forms are hints for keys that take more than words.
var forms = map[string]string{
	"keep": `or hours of the day, for example {warm: "06:00-22:00"}`,
}

// isWord tells whether the value may be a word: a string, or nothing, of which
// text says more.
func (v value) isWord() bool {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.GetToken().Type != token.StringType || !digits.MatchString(n.Value)
	case *ast.LiteralNode, *ast.NullNode, nil:
		return true
	}
	return false
}

// last returns the last element of the key path.
func (v value) last() string { return v.key[strings.LastIndexByte(v.key, '.')+1:] }

// oneOf writes alternatives.
func oneOf(words []string) string {
	n := len(words) - 1
	if n == 0 {
		return words[0]
	}
	return strings.Join(words[:n], ", ") + " or " + words[n]
}

// closest is didYouMean without the list of all.
func closest(s string, known []string) string {
	if hint := DidYouMean(s, known); strings.HasPrefix(hint, "did") {
		return hint
	}
	return ""
}

// truth takes true or false.
func truth(dst *bool) func(value) {
	return func(v value) {
		if v.describes("boolean") {
			v.schema.Default = *dst
			return
		}
		if b, ok := v.node.(*ast.BoolNode); ok {
			*dst = b.Value
			return
		}
		v.fail("want true or false, got "+v.describe(), "")
	}
}

// decimal is an integer of YAML 1.2 that nobody can read in two ways.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// number takes a decimal integer of at least low and at most high.
func number(dst *int, low, high int) func(value) {
	return func(v value) {
		if v.describes("integer") {
			v.schema.Minimum, v.schema.Maximum = &low, &high
			return
		}
		raw := ""
		switch v.node.(type) {
		case *ast.IntegerNode, *ast.StringNode: // a number beyond 64 bits is a string to the library
			if t := v.node.GetToken(); t.Type != token.DoubleQuoteType && t.Type != token.SingleQuoteType {
				raw = t.Value
			}
		}
		i, err := strconv.Atoi(raw)
		switch _, integer := v.node.(*ast.IntegerNode); {
		case raw == "" || !integer && !digits.MatchString(raw):
			v.fail("want a whole number, got "+v.describe(), v.unquoted())
		case !decimal.MatchString(raw):
			v.fail("want a plain decimal number", "without leading zeros, underscores or prefixes")
		case low == high && (err != nil || i != low):
			v.failf("want %d", low)
		case err != nil || i < low || i > high:
			v.failf("want %d to %d", low, high)
		default:
			*dst = i
		}
	}
}

// unquoted is the hint for a number in quotes.
func (v value) unquoted() string {
	if s, ok := v.node.(*ast.StringNode); ok && decimal.MatchString(s.Value) {
		return "without quotes"
	}
	return ""
}

// span takes a duration with its unit.
func span(dst *time.Duration, low, high time.Duration) func(value) {
	return func(v value) {
		if v.describes("string") {
			v.schema.Pattern, v.schema.Default = durations, short(*dst)
			return
		}
		if _, ok := v.node.(*ast.IntegerNode); ok {
			v.fail("a duration needs a unit", "for example 2s or 400ms")
			return
		}
		s, ok := v.text()
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			v.fail(fmt.Sprintf("%q is no duration", shorten(s)), "for example 400ms, 2s or 1m30s")
		case d < low || d > high:
			v.failf("want %s to %s", short(low), short(high))
		default:
			*dst = d
		}
	}
}

// durations is the form of durations, for the schema.
const durations = `^(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`

// short formats a duration as people write it: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are the units of sizes.
var units = map[string]int64{
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
}

var sized = regexp.MustCompile(`^([1-9][0-9]{0,8}) ?([A-Za-z]+)$`)

// size takes a number of bytes with its unit.
func size(dst *int64, low, high int64) func(value) {
	return func(v value) {
		if v.describes("string") {
			v.schema.Pattern = sized.String()
			return
		}
		if _, ok := v.node.(*ast.IntegerNode); ok {
			v.fail("a size needs a unit", "for example 256MiB")
			return
		}
		s, ok := v.text()
		if !ok {
			return
		}
		m := sized.FindStringSubmatch(s)
		if m == nil || units[m[2]] == 0 {
			v.fail(fmt.Sprintf("%q is no size", shorten(s)), "for example 64MiB or 1GiB")
			return
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if n *= units[m[2]]; err != nil || n < low || n > high {
			v.failf("want %dMiB to %dMiB", low>>20, high>>20)
			return
		}
		*dst = n
	}
}

// address takes host:port; an empty string turns the server off.
func address(dst *string) func(value) {
	return func(v value) {
		if v.describes("string") {
			v.schema.Pattern, v.schema.Default = "^$|:[0-9]+$", *dst
			return
		}
		if _, ok := v.node.(*ast.IntegerNode); ok {
			v.fail("want host:port", `for example ":8554"`)
			return
		}
		s, ok := v.text()
		if !ok {
			return
		}
		if s == "" {
			*dst = ""
			return
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil || strings.ContainsAny(host, " /@") {
			v.fail("want host:port", `for example ":8554" or "127.0.0.1:8554"`)
			return
		}
		if !decimal.MatchString(port) {
			v.fail("the port must be a number", "")
			return
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			v.fail("the port must be 0 to 65535", "")
			return
		}
		*dst = s
	}
}
