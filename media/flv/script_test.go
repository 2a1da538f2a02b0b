package flv

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestScriptReadsBack(t *testing.T) {
	for name, v := range map[string]any{
		"number":      25.5,
		"true":        true,
		"string":      "live",
		"long string": strings.Repeat("x", 70000),
		"null":        nil,
		"object":      Object{{"code", "a"}, {"in", Object{{"n", 1.0}}}},
		"empty":       Object{},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseScript(AppendScript(nil, v, 7.0))
			if err != nil || !reflect.DeepEqual(got, []any{v, 7.0}) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestParseScript(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want any
	}{
		"ECMA array whose count lies":        {"\x08\x00\x00\xff\xff\x00\x01a\x01\x01\x00\x00\x09", Object{{"a", true}}},
		"strict array":                       {"\x0a\x00\x00\x00\x02\x05\x02\x00\x01x", []any{nil, "x"}},
		"date":                               {"\x0b\x3f\xf0\x00\x00\x00\x00\x00\x00\x00\x00", 1.0},
		"typed object":                       {"\x10\x00\x01T\x00\x01a\x06\x00\x00\x09", Object{{"a", nil}}},
		"reference":                          {"\x07\x00\x01", nil},
		"XML":                                {"\x0f\x00\x00\x00\x01<", "<"},
		"an object that ends before its end": {"\x03\x00\x01a\x05", ErrScript},
		"a string that is cut short":         {"\x02\x00\x05ab", ErrScript},
		"an unknown marker":                  {"\x42", ErrScript},
		"objects without end":                {strings.Repeat("\x03\x00\x01a", 50), ErrScript},
		"an array of four thousand million":  {"\x0a\xff\xff\xff\xff" + strings.Repeat("\x05", 5000), ErrScript},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseScript([]byte(tc.in))
			if want, fails := tc.want.(error); fails {
				if err != want { // the very value
					t.Errorf("got %v, %v, want %v", got, err, want)
				}
				return
			}
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], tc.want) {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add(AppendScript(nil, "onMetaData", Array{{"width", 640.0}, {"stereo", true}}, nil, []string{"hvc1"}))
	f.Add([]byte("\x08\x00\x00\xff\xff\x00\x01a\x03\x00\x00\x09\x00\x00\x09"))
	f.Fuzz(func(t *testing.T, b []byte) {
		vs, err := ParseScript(b)
		if len(vs) > maxValues {
			t.Fatalf("%d values", len(vs))
		}
		if err != nil {
			return
		}
		for _, v := range vs {
			switch v := v.(type) {
			case float64:
				if math.IsNaN(v) {
					return
				}
			case []any, Object:
				return
			}
		}
		again, err := ParseScript(AppendScript(nil, vs...))
		if err != nil || !reflect.DeepEqual(again, vs) {
			t.Fatalf("%v reads back as %v, %v", vs, again, err)
		}
	})
}
