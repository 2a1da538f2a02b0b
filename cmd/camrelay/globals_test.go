package main_test

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// makers are the calls whose result a package variable may hold: sentinels,
// regular expressions, and what is derived from a table and never changes.
var makers = map[string]bool{
	"errors.New": true, "fmt.Errorf": true, "regexp.MustCompile": true,
	"netip.MustParsePrefix": true, "netip.MustParseAddr": true, "strings.NewReplacer": true, "media.EndedBy": true,
}

// TestNoPackageStateAndNoInit: package variables are tables, sentinels,
// regular expressions or embedded files, and nobody writes to them.
func TestNoPackageStateAndNoInit(t *testing.T) {
	globals := make(map[string]map[string]bool) // by directory
	all := parseModule(t)
	for _, s := range all {
		if s.isTest() {
			continue
		}
		dir := filepath.Dir(s.path)
		if globals[dir] == nil {
			globals[dir] = make(map[string]bool)
		}
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s has an init function", s.path)
				}
			case *ast.GenDecl:
				for _, name := range variables(t, s, d) {
					globals[dir][name] = true
				}
			}
		}
	}
	for _, s := range all {
		if !s.isTest() {
			assigned(t, s, globals[filepath.Dir(s.path)])
		}
	}
}

// variables returns the names that a declaration declares and complains about
// those that are neither table nor sentinel.
func variables(t *testing.T, s source, d *ast.GenDecl) []string {
	t.Helper()
	if d.Tok != token.VAR {
		return nil
	}
	var names []string
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := d.Doc != nil && strings.Contains(d.Doc.List[len(d.Doc.List)-1].Text, "//go:embed")
		for i, name := range v.Names {
			names = append(names, name.Name)
			stamped := s.file.Name.Name == "main" && name.Name == "version"
			if name.Name == "_" || embedded || stamped || i < len(v.Values) && constant(v.Values[i]) {
				continue
			}
			t.Errorf("%s: package variable %s is neither table nor sentinel", s.path, name.Name)
		}
	}
	return names
}

// constant tells whether an initialiser makes something that never changes.
func constant(e ast.Expr) bool {
	switch v := e.(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		if _, bytes := v.Fun.(*ast.ArrayType); bytes { // []byte("…")
			return true
		}
		if sel, ok := v.Fun.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok {
				return makers[pkg.Name+"."+sel.Sel.Name]
			}
		}
	}
	return false
}

// assigned complains about statements that write to a package variable or take
// its address.
func assigned(t *testing.T, s source, globals map[string]bool) {
	t.Helper()
	check := func(e ast.Expr) {
		for {
			switch v := e.(type) {
			case *ast.IndexExpr:
				e = v.X
				continue
			case *ast.SelectorExpr:
				e = v.X
				continue
			case *ast.Ident:
				if globals[v.Name] {
					t.Errorf("%s: package variable %s is written to, or a local one hides it", s.fset.Position(v.Pos()), v.Name)
				}
			}
			return
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch v := n.(type) {
		case *ast.AssignStmt:
			if v.Tok != token.DEFINE {
				for _, e := range v.Lhs {
					check(e)
				}
			}
		case *ast.IncDecStmt:
			check(v.X)
		case *ast.UnaryExpr:
			if v.Op == token.AND {
				check(v.X)
			}
		}
		return true
	})
}
