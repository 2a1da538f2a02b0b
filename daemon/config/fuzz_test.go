package config

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse feeds files: none makes it panic, every mistake is inside the
// file, and what is accepted is whole.
func FuzzParse(f *testing.F) {
	f.Add([]byte(documented))
	for _, row := range slices.Concat(syntax, layout, values, people, objects, pushRows) {
		if len(row.text) < 4096 {
			f.Add([]byte(row.text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("c.yaml", data)
		if err != nil {
			if err := checkPlaces(err, strings.TrimPrefix(string(data), "\ufeff")); err != nil {
				t.Error(err)
			}
			if Format(err, true) == "" {
				t.Error("nothing is said")
			}
			return
		}
		for name, c := range cfg.Cameras {
			if !named.MatchString(name) || !strings.Contains(c.URL, "://") || c.Transport == "" || c.Keep == "" {
				t.Errorf("camera %q is %+v", name, c)
			}
		}
		for name, p := range cfg.Pushes {
			if _, ok := cfg.Cameras[p.Camera]; !ok || !named.MatchString(name) || !strings.Contains(p.URL, "://") {
				t.Errorf("push %q is %+v", name, p)
			}
		}
	})
}

// FuzzExcerpt puts a password behind anything: it is never shown, and the
// caret stays in the line.
func FuzzExcerpt(f *testing.F) {
	f.Add("  gate: {url: rtsp://c/, ", ", keep: warm}", 3)
	f.Add("segment: ", "", 1)
	f.Add("- ", " # note", 400)
	f.Add("keep: {warm: \"", "\"}", 12)
	f.Fuzz(func(t *testing.T, before, after string, column int) {
		if strings.ContainsAny(before+after, "\r\n") || strings.Contains(before+after, "hunter2") {
			return
		}
		for _, line := range []string{before + "password: hunter2" + after, before + "pasword: 'hunter2'" + after} {
			e := newExcerpt(line, column)
			if strings.Contains(e.text, "hunter2") {
				t.Errorf("%q is shown as %q", line, e.text)
			}
			if e.caret < 0 || e.caret > utf8.RuneCountInString(e.text) {
				t.Errorf("caret at %d of %q", e.caret, e.text)
			}
		}
	})
}
