package api

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"camrelay/daemon/auth"
	"camrelay/media"
)

// document is a description of the API in the making.
type document struct {
	t       *testing.T
	paths   map[string]map[string]any
	schemas map[string]any
	types   map[string]reflect.Type // by name of schema
	said    map[string]string       // comments, by Type and Type.Field
}

func newDocument(t *testing.T) *document {
	t.Helper()
	d := &document{
		t: t, paths: make(map[string]map[string]any), schemas: make(map[string]any),
		types: make(map[string]reflect.Type), said: make(map[string]string),
	}
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, d.comments(f.Name.Name))
	}
	return d
}

// comments notes what is said of types and their fields.
func (d *document) comments(pkg string) func(ast.Node) bool {
	say := func(name string, of ...*ast.CommentGroup) {
		for _, c := range of {
			if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
				d.said[name] = text
			}
		}
	}
	return func(n ast.Node) bool {
		gen, ok := n.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			return true
		}
		spec := gen.Specs[0].(*ast.TypeSpec)
		name := pkg + "." + spec.Name.Name
		say(name, gen.Doc, spec.Doc)
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range s.Fields.List {
				for _, id := range field.Names {
					say(name+"."+id.Name, field.Doc, field.Comment)
				}
			}
		}
		return false
	}
}

// ref returns a schema of the type of v, nil for no v.
func (d *document) ref(v any) map[string]any {
	if m, ok := v.(map[string]any); ok {
		return m
	}
	return d.schema(reflect.TypeOf(v))
}

// schema describes a type.
func (d *document) schema(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[media.Secret]():
		return map[string]any{"type": "string", "writeOnly": true}
	case reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{d.schema(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": d.schema(elem(t))}
	case reflect.Map:
		m := map[string]any{"type": "object", "additionalProperties": d.schema(t.Elem())}
		if t.Elem().Kind() == reflect.Interface { // of what may be null
			m["type"] = []any{"object", "null"}
		}
		return m
	case reflect.Struct:
		return d.object(t)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0.0}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Interface:
		return map[string]any{}
	}
	d.t.Fatalf("no schema for %v", t)
	return nil
}

// elem is the type of a list's elements, which are never null.
func elem(t reflect.Type) reflect.Type {
	if t = t.Elem(); t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// object returns a reference to the schema of a struct.
func (d *document) object(t reflect.Type) map[string]any {
	if t.Name() == "" {
		return d.fields(t)
	}
	name := schemaName(t)
	if other, ok := d.types[name]; ok && other != t {
		d.t.Fatalf("%v and %v are both %s", other, t, name)
	}
	if _, ok := d.types[name]; !ok {
		d.types[name] = t
		d.schemas[name] = d.fields(t)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// schemaName is that of MediaMTX where it has the type, else that of Go.
func schemaName(t reflect.Type) string {
	name, of, generic := strings.Cut(t.Name(), "[")
	if i := strings.LastIndexAny(of, "./"); generic {
		return schemaTitle(strings.TrimSuffix(of[i+1:], "]")) + schemaTitle(name)
	}
	if name == "Stat" || name == "Ended" || name == "Status" && t.PkgPath() != "camrelay/daemon/api" {
		name = schemaTitle(filepath.Base(t.PkgPath())) + name
	}
	return schemaTitle(name)
}

func schemaTitle(name string) string {
	name = strings.TrimPrefix(name, "v3")
	if name == "" {
		return name
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}

// fields describes a struct as encoding/json does.
func (d *document) fields(t reflect.Type) map[string]any {
	properties, required := make(map[string]any), []string{}
	owner := filepath.Base(t.PkgPath()) + "." + t.Name()
	if i := strings.IndexByte(owner, '['); i > 0 {
		owner = owner[:i]
	}
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			of, optional := f.Type, f.Type.Kind() == reflect.Pointer
			if optional {
				of = of.Elem()
			}
			inner := d.fields(of)
			maps.Copy(properties, inner["properties"].(map[string]any))
			if names, _ := inner["required"].([]string); !optional {
				required = append(required, names...)
			}
			continue
		}
		if tag == "" || tag == "-" || !f.IsExported() {
			continue
		}
		s := d.schema(f.Type)
		if said := d.said[owner+"."+f.Name]; said != "" {
			s = maps.Clone(s)
			s["description"] = said
		}
		properties[tag] = s
		if !strings.Contains(options, "omitempty") {
			required = append(required, tag)
		}
	}
	slices.Sort(required)
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if said := d.said[owner]; said != "" {
		s["description"] = said
	}
	return s
}

// add describes a route.
func (d *document) add(r route, op operation) {
	method, path, _ := strings.Cut(r.pattern, " ")
	path = strings.ReplaceAll(path, "...}", "}")
	responses := make(map[string]any)
	mime := op.mime
	if mime == "" {
		mime = "application/json"
	}
	answer := func(code int, mime string, schema any) {
		response := map[string]any{"description": http.StatusText(code)}
		if schema != nil {
			response["content"] = map[string]any{mime: map[string]any{"schema": schema}}
		}
		responses[fmt.Sprint(code)] = response
	}
	code := op.code
	if code == 0 {
		code = http.StatusOK
	}
	if op.answer == nil {
		answer(code, mime, nil)
	} else {
		answer(code, mime, d.ref(op.answer))
	}
	problem, problemMIME := any(d.ref(v3Failure{})), "application/json"
	if strings.HasPrefix(path, "/v1/") {
		problem, problemMIME = d.ref(problemDetails{}), "application/problem+json"
	}
	if r.right != auth.None {
		answer(http.StatusUnauthorized, problemMIME, problem)
		responses["default"] = map[string]any{
			"description": "What is wrong.", "content": map[string]any{problemMIME: map[string]any{"schema": problem}},
		}
	}
	for code, v := range op.others {
		answer(code, "application/json", d.ref(v))
	}
	what := map[string]any{
		"operationId": op.id, "summary": op.summary, "x-right": r.right.String(), "responses": responses,
	}
	if all := pathParameters(path); len(op.query)+len(all) > 0 {
		what["parameters"] = append(all, queryParameters(d.t, r.pattern, op.query)...)
	}
	if op.body != nil {
		what["requestBody"] = map[string]any{
			"required": op.needsBody, "content": map[string]any{"application/json": map[string]any{"schema": d.ref(op.body)}},
		}
	}
	if r.right == auth.None {
		what["security"] = []any{}
	}
	if d.paths[path] == nil {
		d.paths[path] = make(map[string]any)
	}
	d.paths[path][strings.ToLower(method)] = what
}

func pathParameters(path string) []any {
	var all []any
	for e := range strings.SplitSeq(path, "/") {
		if name := strings.Trim(e, "{}"); name != e {
			all = append(all, map[string]any{
				"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"},
			})
		}
	}
	return all
}

// queryParameters describes them, and fails unless they are those that the
// router knows.
func queryParameters(t *testing.T, pattern string, said map[string]string) []any {
	known, _ := parameters(pattern)
	var all []any
	for _, name := range known {
		text := said[name]
		if text == "" {
			text = commonParameters[name]
		}
		if text == "" {
			t.Errorf("%s: parameter %s is not described", pattern, name)
		}
		kind := "string"
		if strings.HasPrefix(text, "#") {
			kind, text = "integer", text[1:]
		}
		all = append(all, map[string]any{
			"name": name, "in": "query", "description": text, "schema": map[string]any{"type": kind},
		})
	}
	for name := range said {
		if !slices.Contains(known, name) {
			t.Errorf("%s has no parameter %s", pattern, name)
		}
	}
	return all
}

func (d *document) json() map[string]any {
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "camrelay", "version": "1",
			"description": "/v1 is camrelay's own and answers errors as problem details (RFC 9457); /v3 has MediaMTX's " +
				"shapes, /rest-api Flashphoner's. x-right tells the right that a route demands: read (role viewer), " +
				"operate (operator), admin.",
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{map[string]any{"url": "http://127.0.0.1:9997"}},
		"security": []any{map[string]any{"token": []any{}}, map[string]any{"password": []any{}}},
		"paths":    d.paths,
		"components": map[string]any{
			"schemas": d.schemas,
			"securitySchemes": map[string]any{
				"token":    map[string]any{"type": "http", "scheme": "bearer"},
				"password": map[string]any{"type": "http", "scheme": "basic"},
			},
		},
	}
}
