package main

import (
	"strings"
	"testing"
)

func TestTheCommandLine(t *testing.T) {
	for _, row := range []struct {
		name, line, want string
		code             int
	}{
		{"nothing", "", "usage: camrelay COMMAND", exitUsage},
		{"help", "help", "camrelay probe URL", exitOK},
		{"help of a command", "help push test", "-wait", exitOK},
		{"help of a group", "help config", "camrelay config schema", exitOK},
		{"help of what there is not", "help nothing", `unknown command "nothing"`, exitUsage},
		{"its own flag for help", "config cat -h", "-conf-dir", exitOK},
		{"a group alone", "keepalive", "camrelay keepalive add CAMERA", exitUsage},
		{"a word that the group has not", "config dog", `unknown command "config dog"`, exitUsage},
		{"a misspelt word of a group", "user ad", `did you mean "user add"?`, exitUsage},
		{"a misspelt command", "chek", `did you mean "check"?`, exitUsage},
		{"an unknown command", "sttaus", `unknown command "sttaus"`, exitUsage},
		{"an unknown flag", "status -jsno", "-jsno", exitUsage},
		{"an argument too few", "probe", "camrelay: URL is missing", exitUsage},
		{"an argument too many", "status gate", "camrelay status takes 0 arguments besides flags, not 1", exitUsage},
		{"a flag behind an argument", "config explain cameras.gate.url -json", `"type"`, exitOK},
		{"the sections", "config explain", "  cameras", exitOK},
		{"a key", "config explain cameras.gate.transport", "one of auto, tcp, udp", exitOK},
		{"a key of a list", "config explain users.role", "one of viewer, operator, admin", exitOK},
		{"a misspelt key", "config explain cameras.gate.trasport", `did you mean "transport"?`, exitFailed},
		{"a misspelt section", "config explain camera", `did you mean "cameras"?`, exitFailed},
		{"the schema", "config schema", "json-schema.org", exitOK},
		{"no daemon", "status -runtime-dir /nonexistent", "no daemon answers", exitNobody},
		{"no daemon to kick", "kick x -runtime-dir /nonexistent", "no daemon answers", exitNobody},
		{"an API that is no URL", "status -api box:9997", "-api wants a URL", exitFailed},
		{"a token that is not there", "events -token-file /nonexistent", "cannot read the token", exitFailed},
		{"files that are not there", "config cat -c /nonexistent", "cannot read /nonexistent", exitFailed},
		{"a camera that is none", "probe http://h/", "no rtsp or rtsps URL", exitFailed},
		{"a transport that is none", "probe -transport rudp rtsp://h/", "auto, tcp or udp", exitFailed},
		{"the completion", "completion", "complete -F _camrelay camrelay", exitOK},
		{"the version", "version", version, exitOK},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, out, complaints := commandLine(t, nil, strings.Fields(row.line)...)
			if code != row.code || !strings.Contains(out+complaints, row.want) {
				t.Errorf("exit code %d, want %d\n%s%s", code, row.code, out, complaints)
			}
			if code == exitOK && row.name != "its own flag for help" && complaints != "" {
				t.Errorf("complaints: %s", complaints)
			}
		})
	}
}

// TestEveryCommandIsDescribed in words that the manual can hold.
func TestEveryCommandIsDescribed(t *testing.T) {
	seen := make(map[string]bool)
	for _, cmd := range commands() {
		if seen[cmd.name] || cmd.summary == "" || strings.HasSuffix(cmd.summary, ".") || len(cmd.summary) > 80 {
			t.Errorf("%q: %q", cmd.name, cmd.summary)
		}
		if cmd.about != "" && !strings.HasSuffix(cmd.about, ".") {
			t.Errorf("%q: %q", cmd.name, cmd.about)
		}
		seen[cmd.name] = true
	}
}

// TestATerminalIsLeftAlone by what a camera or a client has for a name.
func TestATerminalIsLeftAlone(t *testing.T) {
	var b strings.Builder
	c := console{out: &b}
	if err := printTable(c, [][]cell{plainCells("A", "B"), plainCells("\x1b[2Jx\r\ty", "é\n\u202e")}); err != nil {
		t.Fatal(err)
	}
	if want := "A         B\n?[2Jx??y  é ?\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
