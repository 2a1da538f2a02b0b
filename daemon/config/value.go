package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder turns the trees of all files into one Config and collects what is
// wrong with them.
type decoder struct {
	cfg      *Config
	errs     Errors
	warnings Errors
	at       map[string]value // key path → where it stands
	secrets  []secretRef
	without  []string // pushes of the machine's file that are left out
	lacking  []string // keys of secrets that cannot be had; what they belong to is switched off

	authorities  []authorityRef
	certificates []certificateRef
	renditions   []value  // names of cameras in ladders
	later        []func() // what can be read only when all of defaults is known
}

// value is a place in a file: a key with what stands behind it.
type value struct {
	d    *decoder
	src  *source
	key  string       // dotted path; empty for the file
	name *token.Token // of the key; nil for the file and for items of lists
	node ast.Node     // nil or NullNode if there is nothing

	schema *Schema // to be filled instead of reading node; nil: node is read
}

// fields is the table of a section: key → what takes its value.
type fields map[string]func(value)

// fail enters a mistake at the value, or at its key if that says more.
func (v value) fail(message, hint string) {
	v.d.errs = append(v.d.errs, v.mistake(message, hint))
}

// failf is fail without a hint. What is formatted must hold no secret.
func (v value) failf(format string, args ...any) { v.fail(fmt.Sprintf(format, args...), "") }

// warn enters a warning.
func (v value) warn(message, hint string) {
	v.d.warnings = append(v.d.warnings, v.mistake(message, hint))
}

func (v value) mistake(message, hint string) *Error {
	t := v.name
	if v.node != nil && (t == nil || isScalar(v.node)) {
		t = v.node.GetToken()
	}
	if t == nil || t.Position == nil {
		return v.src.errorAt(1, 1, v.key, message, hint)
	}
	return v.src.errorAt(t.Position.Line, t.Position.Column, v.key, message, hint)
}

func isScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.NullNode:
		return false
	}
	return true
}

func (v value) null() bool {
	_, ok := v.node.(*ast.NullNode)
	return ok || v.node == nil
}

// describe says what kind of value there is, without the value.
func (v value) describe() string {
	switch v.node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode:
		return "a number"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a fraction"
	}
	return "a string"
}

// entries yields the entries of a mapping with keys made unique. Nothing at
// all is an empty mapping.
func (v value) entries() []value {
	if v.schema != nil {
		return v.describeNames(named)
	}
	if v.null() {
		return nil
	}
	m, ok := v.node.(ast.MapNode)
	if !ok {
		v.fail("want a section, got "+v.describe(), v.misplaced())
		return nil
	}
	var all []value
	seen := make(map[string]value)
	for it := m.MapRange(); it.Next(); {
		name := it.Key().GetToken()
		e := value{d: v.d, src: v.src, key: name.Value, name: name, node: it.Value()}
		if strings.ContainsAny(e.key, "@/") {
			e.key = mask // a URL in the wrong place; no key is like that
		}
		if v.key != "" {
			e.key = v.key + "." + e.key
		}
		if before, ok := seen[name.Value]; ok {
			e.node = nil // the place is the key
			e.failf("given twice, first in line %d", before.name.Position.Line)
			continue
		}
		seen[name.Value] = e
		all = append(all, e)
	}
	return all
}

// misplaced is the hint for a value where a section belongs.
func (v value) misplaced() string {
	n, ok := v.node.(*ast.StringNode)
	if ok && n.GetToken().Type == token.StringType && glued.MatchString(n.Value) {
		return "a space is missing behind the colon"
	}
	section, key, ok := strings.Cut(v.key, ".")
	if ok && (section == "cameras" || section == "pushes") && v.d.keys(section)[key] {
		return fmt.Sprintf("indent it deeper if it is the %s of the entry above", key)
	}
	return ""
}

// keys are the keys of the entries of a section.
func (d *decoder) keys(section string) map[string]bool {
	var f fields
	switch section {
	case "cameras":
		f = d.cameraFields("", &Camera{}, nil)
	case "pushes":
		f = d.pushFields("", &Push{})
		d.targetFields(f, &Target{}, nil, nil)
	}
	all := make(map[string]bool)
	for key := range f {
		all[key] = true
	}
	return all
}

// decode reads a mapping by its table.
func (v value) decode(f fields) {
	if v.schema != nil {
		v.describeFields(f)
		return
	}
	for _, e := range v.entries() {
		name := e.name.Value
		set, ok := f[name]
		if !ok {
			e.node = nil
			e.key = v.key
			e.fail(fmt.Sprintf("unknown key %q", shorten(name)), DidYouMean(name, slices.Sorted(maps.Keys(f))))
			continue
		}
		v.d.at[e.key] = e
		set(e)
	}
}

// items returns the items of a list.
func (v value) items() []value {
	if v.schema != nil {
		return v.describeItems()
	}
	if v.null() {
		return nil
	}
	l, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.failf("want a list, got %s", v.describe())
		return nil
	}
	all := make([]value, len(l.Values))
	for i, n := range l.Values {
		all[i] = value{d: v.d, src: v.src, key: fmt.Sprintf("%s[%d]", v.key, i), node: n}
	}
	return all
}

// DidYouMean returns the hint for a word that is not among the known ones.
func DidYouMean(word string, known []string) string {
	best, least := "", max(1, min(3, len(word)/3+1))+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 0 || len(known) > 16 {
		return ""
	}
	return "known are " + strings.Join(known, ", ")
}

// distance is the number of edits between a and b, a swap of neighbours being
// one. Words that are too long to be meant are far from all.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// shorten returns a word for use in a message. What looks like a URL is not
// shown: it may hold a password.
func shorten(s string) string {
	if strings.ContainsAny(s, "@/") {
		return mask
	}
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
