package config

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const shippedSchema = "../../rootfs/usr/share/camrelay/schema.json"

// TestShippedSchema is what the tables say now.
func TestShippedSchema(t *testing.T) {
	text, err := json.MarshalIndent(NewSchema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(shippedSchema), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(shippedSchema, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if shipped, err := os.ReadFile(shippedSchema); err != nil || !bytes.Equal(shipped, text) {
		t.Errorf("%s is another one (%v): go test ./daemon/config -update writes it", shippedSchema, err)
	}
}

// validator is a program that is not ours. PyYAML is of YAML 1.1, of which only
// on and off matter, which are taken for true and false.
const validator = `
import json, sys, yaml, jsonschema
v = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
v.check_schema(v.schema)
out = []
for text in json.load(sys.stdin):
    try:
        errors = sorted(v.iter_errors(yaml.safe_load(text)), key=lambda e: e.json_path)
        out.append("; ".join(e.json_path + ": " + e.message for e in errors))
    except yaml.YAMLError as e:
        out.append(str(e))
print(json.dumps(out))
`

// judge returns what is wrong with each file by the schema, in the words of
// Python's jsonschema.
func judge(t *testing.T, texts []string) (wrong []string) {
	t.Helper()
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", validator, shippedSchema)
	cmd.Stdin = bytes.NewReader(in)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3-jsonschema and python3-yaml, which make test installs: %v\n%s", err, &complaints)
	}
	if err := json.Unmarshal(out, &wrong); err != nil || len(wrong) != len(texts) {
		t.Fatalf("%v: %s", err, out)
	}
	return wrong
}

// TestSchemaTakesExamples holds every example against the schema: the shipped
// file as it is and with all that is commented out, that of the design, and those of
// the texts for people.
func TestSchemaTakesExamples(t *testing.T) {
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := []string{string(text), string(commented.ReplaceAll(text, []byte("$1"))), documented}
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		examples = append(examples, m[1])
	}
	if len(examples) < 5 {
		t.Fatalf("only %d examples", len(examples))
	}
	for i, wrong := range judge(t, examples) {
		if wrong != "" {
			t.Errorf("%s\nin\n%s", wrong, examples[i])
		}
	}
}

// TestSchemaRefuses what is of another type, or has another key. Of the other
// broken files it knows less than the parser, and never more than is wrong.
func TestSchemaRefuses(t *testing.T) {
	rows := slices.Concat(layout, values, people, objects, pushRows)
	rows = slices.DeleteFunc(rows, func(r broken) bool { return len(r.text) > 4096 })
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.text
	}
	caught := 0
	for i, wrong := range judge(t, texts) {
		_, err := Parse("c.yaml", []byte(texts[i]))
		if wrong != "" || strings.Contains(texts[i], ": yes") { // it is true in YAML 1.1
			caught++
			continue
		}
		for _, must := range []string{"unknown key", "want true or false", "got a list", "want a whole number"} {
			if strings.Contains(err.Error(), must) {
				t.Errorf("%s: the schema takes what has %q:\n%s", rows[i].name, must, texts[i])
			}
		}
	}
	if caught < len(rows)/3 {
		t.Errorf("the schema finds %d of %d", caught, len(rows))
	}
}
