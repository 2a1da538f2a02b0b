package mediatest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// Golden compares got with the file testdata/NAME of the package under test.
// With the flag -update it writes the file instead. The test package defines
// the flag:
//
//	var _ = flag.Bool("update", false, "rewrite golden files")
func Golden(tb testing.TB, name string, got []byte) {
	tb.Helper()
	file := filepath.Join("testdata", name)
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tb.Fatalf("%v; run the test with -update to write it", err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			tb.Fatalf("%s line %d:\ngot  %s\nwant %s", file, i+1, g[i], w[i])
		}
	}
	tb.Fatalf("%s: got %d lines, want %d", file, len(g), len(w))
}
