package main_test

import (
	"go/ast"
	"slices"
	"testing"
)

// Limits of what a reader can hold.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// TestSizes: a file over the limit is split by reason to change. The rows of a
// table do not count as lines of the function that holds it.
func TestSizes(t *testing.T) {
	for _, s := range parseModule(t) {
		if n := s.fset.File(s.file.FileStart).LineCount() - 1; n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed", s.path, n, maxFileLines)
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := lines(s, f) - tableLines(s, f); n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d are allowed", s.path, f.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// lines returns how many lines a node covers.
func lines(s source, n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// tableLines returns the lines of the lists and maps written out in a function.
func tableLines(s source, f *ast.FuncDecl) int {
	total := 0
	ast.Inspect(f.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		switch lit.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			total += lines(s, lit) - 1
			return false
		}
		return true
	})
	return total
}

// TestOnlyBubblesSleep: inside a synctest bubble sleeping is free, elsewhere a
// test waits for a condition.
func TestOnlyBubblesSleep(t *testing.T) {
	for _, s := range parseModule(t) {
		if slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` }) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s sleeps", s.fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
