package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/daemon"
)

// command runs a command of the binary on the box, and returns its exit code and
// what it prints.
func (b *box) command(args ...string) (code int, out, complaints string) {
	b.t.Helper()
	out, complaints, err := tool(b.t, time.Minute, os.Getenv(binEnv), args...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else if err != nil {
		b.t.Fatal(err)
	}
	return code, out, complaints
}

// want is command for one that is to exit with a code.
func (b *box) want(code int, words string, more ...string) string {
	b.t.Helper()
	got, out, complaints := b.command(append(strings.Fields(words), more...)...)
	if got != code || code == exitOK && complaints != "" {
		b.t.Errorf("camrelay %s: exit code %d, want %d\n%s%s", words, got, code, out, complaints)
	}
	return out + complaints
}

// unpacked returns the parts of a bundle.
func unpacked(t testing.TB, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	parts := make(map[string]string)
	for all := tar.NewReader(zipped); ; {
		h, err := all.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(all)
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.TrimPrefix(h.Name, "camrelay-bundle/")] = string(text)
	}
}

// TestCommands asks a running daemon by each command, as root on a box that has
// users, and where no daemon runs.
func TestCommands(t *testing.T) {
	t.Parallel()
	cam, sink := startFakeCam(t), startRTMPSink(t)
	b := startBox(t, fmt.Sprintf("version: 1\ncameras:\n  gate: {url: %q}\n  yard: {url: %q, keep: ondemand}\npushes:\n"+
		"  up: {camera: gate, url: \"rtmp://127.0.0.1:%s/live/x\"}\n"+
		"  down: {camera: gate, url: \"rtmp://127.0.0.1:1/live/x\"}\n"+
		"users: [{name: root, role: admin, token_hash: %s}]\n",
		cam.url("cam1"), cam.url("cam2"), sink.port, tokenHash(ownToken)))
	b.awaitActive("gate")
	b.awaitPush("up", "active")
	at := []string{"-runtime-dir", b.runtime}
	files := []string{"-c", b.config()}
	run := b.want
	id := strings.TrimSpace(run(exitOK, "keepalive add yard -label wall -ttl 1h", at...))
	for words, want := range map[string]string{
		"status": "gate    warm", "sessions": "push", "sessions -ended": "BECAUSE", "keepalive list": id,
		"events -type path.*": "path.ready", "push test up": "media flows",
	} {
		if out := run(exitOK, words, at...); !strings.Contains(out, want) {
			t.Errorf("camrelay %s prints\n%s\nwithout %q", words, out, want)
		}
	}
	for _, words := range []string{"status", "sessions", "keepalive list", "push test up"} {
		if out := run(exitOK, words+" -json", at...); !json.Valid([]byte(out)) {
			t.Errorf("camrelay %s -json prints %s", words, out)
		}
	}
	if out := run(exitFailed, "push test down", at...); !strings.Contains(out, "failed: ") {
		t.Error(out)
	}
	run(exitOK, "keepalive remove "+id, at...)
	run(exitFailed, "keepalive remove "+id, at...)
	run(exitFailed, "keepalive add nowhere", at...)
	if out := run(exitFailed, "status -api http://"+b.addr("api")); !strings.Contains(out, "-token-file") {
		t.Error(out)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(ownToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(exitOK, "status -api http://"+b.addr("api")+" -token-file "+token)
	run(exitNobody, "status -runtime-dir /nonexistent")
	viewer := b.call("GET", "/v1/sessions?kind=push", "").str("items", 0, "session_id")
	run(exitOK, "kick "+viewer, at...)
	if out := run(exitOK, "config cat", files...); !strings.Contains(out, "  gate: {url: ***") {
		t.Error(out)
	}
	state := filepath.Join(b.dir, "state")
	if out := run(exitOK, "config diff -state-dir "+state, files...); !strings.Contains(out, "nothing") {
		t.Error(out)
	}
	b.checkLink("-runtime-dir", b.runtime, "-token-file", token)
	b.checkBundle(append(at, files...)...)
}

// checkLink makes a link of the camera, and one of the page, and opens them without
// any password. There is none of a camera that there is not, nor of nobody's.
func (b *box) checkLink(flags ...string) {
	b.t.Helper()
	for _, args := range [][]string{{"link", "gate", "-for", "10m"}, {"link"}} {
		code, out, complaints := b.command(append(args, flags...)...)
		link := strings.TrimSpace(out)
		ours := strings.HasPrefix(link, "http://"+b.addr("http")+"/")
		if code != exitOK || !ours || !strings.Contains(complaints, "until") {
			b.t.Fatalf("%v: exit code %d, %q, %s", args, code, out, complaints)
		}
		res, err := http.Get(link)
		if err != nil {
			b.t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			b.t.Errorf("%v: the link is answered %s", args, res.Status)
		}
	}
	code, out, said := b.command(append([]string{"link", "gaet"}, flags...)...)
	if code != exitFailed || out != "" || !strings.Contains(said, `there is no camera "gaet"`) {
		b.t.Errorf("a link of no camera: exit code %d, %q, %s", code, out, said)
	}
	if code, _, said := b.command("link", "-for", "10m", "-runtime-dir", b.runtime); code != exitFailed ||
		!strings.Contains(said, "links are made by users") {
		b.t.Errorf("a link of nobody's: exit code %d, %s", code, said)
	}
}

// checkBundle makes a bundle, once.
func (b *box) checkBundle(flags ...string) {
	b.t.Helper()
	name := filepath.Join(b.t.TempDir(), "b.tar.gz")
	b.want(exitOK, "bundle "+name, flags...)
	parts := unpacked(b.t, name)
	for _, part := range []string{"status.json", "sessions.json", "events.jsonl", "config.txt", "system/os-release"} {
		if len(parts[part]) < 20 {
			b.t.Errorf("%s: %q; %s", part, parts[part], parts["missing.txt"])
		}
	}
	b.want(exitFailed, "bundle "+name, flags...) // it is there
}

// TestProbe looks at a camera without a daemon, and at none.
func TestProbe(t *testing.T) {
	t.Parallel()
	code, out, complaints := commandLine(t, nil, "probe", "-json", startFakeCam(t).url("cam3"))
	var found daemon.Probed
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitOK || len(found.Tracks) != 2 ||
		found.Tracks[0].Height != 180 || found.KeyInterval < 0.5 || found.FirstKey == 0 {
		t.Errorf("%v: exit code %d: %s%s", err, code, out, complaints)
	}
	code, _, complaints = commandLine(t, nil, "probe", "-timeout", "2s", "rtsp://u:hunter2@127.0.0.1:1/")
	if code != exitFailed || !strings.Contains(complaints, "refused") || strings.Contains(complaints, "hunter2") {
		t.Errorf("exit code %d: %s", code, complaints)
	}
}
