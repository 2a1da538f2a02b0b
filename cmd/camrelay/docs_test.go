package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the manual and the completion")

// shipped fails unless a file of the package is as text, or makes it so.
func shipped(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("../../rootfs/usr/share", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(is) != text {
		t.Errorf("%s is not of the table of commands; go test ./cmd/camrelay -run Shipped -update", name)
	}
}

// TestTheShippedCompletion is made of the table of commands, and completes.
func TestTheShippedCompletion(t *testing.T) {
	shipped(t, "bash-completion/completions/camrelay", completion())
	for line, want := range map[string]string{
		"camrelay ": "run check status config events tail sessions kick keepalive push probe user passwd link bundle " +
			"selftest demo completion version help",
		"camrelay con":                    "config",
		"camrelay config ":                "cat diff schema explain",
		"camrelay config cat -":           "-c -conf-dir",
		"camrelay status --w":             "-watch",
		"camrelay keepalive add gate -la": "-label",
		"camrelay version ":               "",
	} {
		words := strings.Split(line, " ")
		script := completion() + "\nCOMP_WORDS=(" + quoted(words) + "); COMP_CWORD=" + fmt.Sprint(len(words)-1) +
			"\ncompopt() { :; }\n_camrelay\necho \"${COMPREPLY[*]}\"\n"
		out, err := exec.Command("bash", "-euc", script).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %q, want %q, %v", line, got, want, err)
		}
	}
}

func quoted(words []string) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = "'" + w + "'"
	}
	return strings.Join(all, " ")
}

// TestTheShippedManual is a text with the table of commands put in.
func TestTheShippedManual(t *testing.T) {
	frame, err := os.ReadFile("testdata/camrelay.8.in")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("@SYNOPSIS@\n", synopsis(), "@COMMANDS@\n", manual()).Replace(string(frame))
	shipped(t, "man/man8/camrelay.8", text)
	for _, cmd := range commands() {
		if !strings.Contains(text, "\n.B "+cmd.name) {
			t.Errorf("%s is missing", cmd.name)
		}
	}
	for i, line := range strings.Split(text, "\n") {
		if len(line) > 400 || strings.HasSuffix(line, " ") {
			t.Errorf("line %d: %q", i+1, line)
		}
	}
}

// common are the flags that several commands have with the same meaning; they are
// told of once.
func common() map[string]*flag.Flag {
	times, all := make(map[string]int), make(map[string]*flag.Flag)
	for _, cmd := range commands() {
		fs, _ := cmd.flags()
		fs.VisitAll(func(f *flag.Flag) {
			times[f.Name+f.Usage]++
			if times[f.Name+f.Usage] > 1 {
				all[f.Name] = f
			}
		})
	}
	return all
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "\"", `\(dq`).Replace(s)
}

func synopsis() string {
	var lines []string
	for _, cmd := range commands() {
		fs, _ := cmd.flags()
		line := ".B camrelay " + cmd.name + "\n"
		if hasFlags(fs) {
			line += ".RI [ FLAGS ]\n"
		}
		if word := strings.Trim(cmd.args, "[]"); word != cmd.args {
			line += ".RI [ " + word + " ]\n"
		} else if word != "" {
			line += ".I " + word + "\n"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ".br\n")
}

func manual() string {
	var b bytes.Buffer
	often := common()
	fmt.Fprintln(&b, ".SH COMMANDS")
	for _, cmd := range commands() {
		fmt.Fprintf(&b, ".TP\n.B %s", cmd.name)
		if cmd.args != "" {
			fmt.Fprintf(&b, " \\fI%s\\fR", escape(cmd.args))
		}
		fmt.Fprintf(&b, "\n%s.\n", escape(strings.ToUpper(cmd.summary[:1])+cmd.summary[1:]))
		if cmd.about != "" {
			fmt.Fprintln(&b, escape(cmd.about))
		}
		fs, _ := cmd.flags()
		own := ""
		fs.VisitAll(func(f *flag.Flag) {
			if often[f.Name] == nil || often[f.Name].Usage != f.Usage {
				own += manualFlag(f)
			}
		})
		if own != "" {
			fmt.Fprintf(&b, ".RS\n%s.RE\n", own)
		}
	}
	fmt.Fprintln(&b, ".SH FLAGS\nThat several commands have. One or two dashes mean the same.")
	var names []string
	for name := range often {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(manualFlag(often[name]))
	}
	return b.String()
}

// manualFlag describes a flag.
func manualFlag(f *flag.Flag) string {
	kind, usage := flag.UnquoteUsage(f)
	text := ".TP\n.B " + escape("-"+f.Name)
	if kind != "" {
		text += ` \fI` + strings.ToUpper(kind) + `\fR`
	}
	text += "\n" + escape(strings.ToUpper(usage[:1])+usage[1:])
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0s" && !strings.Contains(usage, "default") {
		text += fmt.Sprintf(" (by default %s)", escape(f.DefValue))
	}
	return text + ".\n"
}
