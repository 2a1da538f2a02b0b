package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the package lays on a box is held against the program here;
// packaging/test tries the package itself.

// setting is a setting that is commented out: prose has a space behind the #.
var setting = regexp.MustCompile(`(?m)^#((?:  +)?[a-z_]+:)`)

// TestCheckTakesWhatThePackageShips runs the command on the file of the package
// as it is, and with its settings in force.
func TestCheckTakesWhatThePackageShips(t *testing.T) {
	for _, name := range []string{"packaging/debian/camrelay.yaml", "rootfs/etc/camrelay/camrelay.yaml"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string][]byte{
			"as it is": text, "with its settings": setting.ReplaceAll(text, []byte("$1")),
		} {
			if what != "as it is" && strings.HasPrefix(name, "rootfs") {
				continue // daemon/config has that
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "camrelay.yaml")
			for path, text := range map[string][]byte{file: text, filepath.Join(dir, "secrets/gate"): []byte("secret\n")} {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out, complaints bytes.Buffer
			code := dispatch(t.Context(), console{strings.NewReader(""), &out, &complaints},
				[]string{"check", "-c", file, "-runtime-dir", dir, "-state-dir", dir})
			if code != exitOK || complaints.Len() > 0 {
				t.Errorf("%s %s: exit code %d\n%s", name, what, code, &complaints)
			}
		}
	}
}
