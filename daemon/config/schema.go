package config

import (
	"maps"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Schema describes the file, or a part of it, as a JSON schema.
// Specification: JSON Schema 2020-12.
type Schema struct {
	Schema        string             `json:"$schema,omitempty"`
	Title         string             `json:"title,omitempty"`
	Type          []string           `json:"type,omitempty"`
	Enum          []string           `json:"enum,omitempty"`
	AnyOf         []*Schema          `json:"anyOf,omitempty"`
	Properties    map[string]*Schema `json:"properties,omitempty"`
	PropertyNames *Schema            `json:"propertyNames,omitempty"`
	Additional    any                `json:"additionalProperties,omitempty"` // a *Schema, or false
	Required      []string           `json:"required,omitempty"`
	Items         *Schema            `json:"items,omitempty"`
	MaxItems      int                `json:"maxItems,omitempty"`
	Minimum       *int               `json:"minimum,omitempty"`
	Maximum       *int               `json:"maximum,omitempty"`
	MinLength     int                `json:"minLength,omitempty"`
	MaxLength     int                `json:"maxLength,omitempty"`
	Pattern       string             `json:"pattern,omitempty"`
	Default       any                `json:"default,omitempty"`
}

// NewSchema describes a file. It is made by the tables that read one, which,
// where a value has a Schema, describe what they would take instead of taking it.
// What only a whole set can tell, such as whether a camera is there, is not in it.
func NewSchema() *Schema {
	d := newDecoder()
	s := &Schema{Schema: "https://json-schema.org/draft/2020-12/schema", Title: "Configuration of camrelay"}
	d.describe(&source{name: "schema"}, s)
	for _, f := range d.later {
		f()
	}
	return s
}

// describes tells whether the value is to be described, and if so enters what
// type it has.
func (v value) describes(types ...string) bool {
	if v.schema == nil {
		return false
	}
	v.schema.Type = types
	return true
}

// describeFields describes a mapping by its table.
func (v value) describeFields(f fields) {
	s := v.schema
	s.Type, s.Properties, s.Additional = []string{"object", "null"}, make(map[string]*Schema), false
	for _, name := range slices.Sorted(maps.Keys(f)) {
		s.Properties[name] = &Schema{}
		f[name](v.child(name, s.Properties[name]))
	}
}

// describeNames describes a mapping whose keys people choose, and returns the one
// entry that stands for all.
func (v value) describeNames(pattern *regexp.Regexp) []value {
	entry := &Schema{}
	v.schema.Type, v.schema.Additional = []string{"object", "null"}, entry
	v.schema.PropertyNames = &Schema{Pattern: pattern.String()}
	return []value{v.child("name", entry)}
}

// describeItems describes a list, and returns the item that stands for all.
func (v value) describeItems() []value {
	v.schema.Type, v.schema.Items = []string{"array", "null"}, &Schema{}
	item := v.child("item", v.schema.Items)
	item.name = nil
	return []value{item}
}

// child returns a value below v that is described by s.
func (v value) child(name string, s *Schema) value {
	return value{
		d: v.d, src: v.src, key: v.key + "." + name, name: &token.Token{Value: name},
		node: (*ast.NullNode)(nil), schema: s,
	}
}

// either describes a value that may be of several kinds, and tells whether it has.
func (v value) either(kinds ...func(value)) bool {
	if v.schema == nil {
		return false
	}
	for _, kind := range kinds {
		s := &Schema{}
		v.schema.AnyOf = append(v.schema.AnyOf, s)
		kind(v.child("", s))
	}
	return true
}
