package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is one parsed file of the module.
type source struct {
	path string // below the root, with slashes
	fset *token.FileSet
	file *ast.File
}

// isTest tells whether go test compiles the file and go build does not.
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// parseModule returns every Go file of the module.
func parseModule(t *testing.T) []source {
	t.Helper()
	const root = "../.."
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			base := e.Name()
			if base == "testdata" || base == "build" || strings.HasPrefix(base, ".") && name != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		path, err := filepath.Rel(root, name)
		all = append(all, source{filepath.ToSlash(path), fset, file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// drawers are names that say nothing of what is inside.
var drawers = []string{"util", "utils", "common", "helper", "helpers", "base", "defs", "types", "manager", "service"}

// TestEveryPackageHasOneComment: it says what the package is, what it is not,
// and who may call what from where.
func TestEveryPackageHasOneComment(t *testing.T) {
	comments := make(map[string][]source)
	for _, s := range parseModule(t) {
		if s.isTest() {
			continue
		}
		dir := filepath.ToSlash(filepath.Dir(s.path))
		comments[dir] = append(comments[dir], source{})
		if s.file.Doc == nil {
			continue
		}
		comments[dir][len(comments[dir])-1] = s
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + filepath.Base(dir) + " "
		}
		if text := s.file.Doc.Text(); !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package comment begins with %.30q, not %q", s.path, text, want)
		}
		if slices.Contains(drawers, s.file.Name.Name) {
			t.Errorf("%s: %s is no name for a package", s.path, s.file.Name.Name)
		}
	}
	for dir, files := range comments {
		files = slices.DeleteFunc(files, func(s source) bool { return s.file == nil })
		if len(files) != 1 {
			t.Errorf("package %s has %d package comments, want 1", dir, len(files))
		}
	}
}
