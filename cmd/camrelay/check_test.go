package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/daemon"
	"camrelay/daemon/api"
)

// checked is a directory with a configuration.
type checked struct {
	t   *testing.T
	dir string
}

func newChecked(t *testing.T) *checked {
	t.Helper()
	c := &checked{t, t.TempDir()}
	c.write("camrelay.yaml", "version: 1\naccess: {view: open}\nhls: {mode: \"off\"}\n"+
		"cameras:\n  gate: {url: rtsp://192.0.2.1/, keep: ondemand}\n")
	c.write("conf.d/20-site.yaml", "cameras:\n  yard: {url: rtsp://192.0.2.2/, keep: ondemand}\n")
	return c
}

func (c *checked) write(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// check runs camrelay check on the directory.
func (c *checked) check(args ...string) (code int, out, complaints string) {
	c.t.Helper()
	return commandLine(c.t, nil, append([]string{
		"check", "-c", filepath.Join(c.dir, "camrelay.yaml"),
		"--state-dir", filepath.Join(c.dir, "state"), "--runtime-dir", filepath.Join(c.dir, "run"),
	}, args...)...)
}

// yard is another source for the camera of the drop-in.
const yard = "cameras:\n  yard: {url: rtsp://192.0.2.3/}\n"

func TestCheckExitCodes(t *testing.T) {
	for _, row := range []struct {
		name string
		args func(c *checked) []string
		code int
		says string // in what it prints
	}{
		{"files that are good", func(*checked) []string { return nil }, exitOK, "ok, 2 cameras, 0 pushes"},
		{"a drop-in that is broken", func(c *checked) []string {
			c.write("conf.d/30.yaml", "camras: {}\n")
			return nil
		}, exitInvalid, "30.yaml:1:1 error unknown key \"camras\" (did you mean \"cameras\"?)\n" +
			"    1 | camras: {}\n        ^\n"},
		{"a file in the place of a drop-in", func(c *checked) []string {
			return []string{"--file", c.write("tmp/source", yard), "--as", "20-site.yaml"}
		}, exitOK, "ok, 2 cameras"},
		{"a file beside the others", func(c *checked) []string {
			return []string{"--file", c.write("tmp/source", yard), "--as", "30.yaml"}
		}, exitInvalid, "tmp/source:2:3 error cameras.yard: named in two files, first in "},
		{"a file whose name says nothing", func(c *checked) []string {
			return []string{"--file", c.write("tmp/source", yard)}
		}, exitOK, "is checked in the place of"},
		{"a file whose name says nothing, and that is new", func(c *checked) []string {
			return []string{"--file", c.write("tmp/source", "cameras:\n  door: {url: rtsp://192.0.2.3/}\n")}
		}, exitOK, "ok, 3 cameras"},
		{"a file in the place of the main file", func(c *checked) []string {
			text := "version: 1\ncameras: {yard: {url: rtsp://c/}}\n"
			return []string{"--file", c.write("tmp/x", text), "--as", "camrelay.yaml"}
		}, exitInvalid, "20-site.yaml:2:3 error cameras.yard: named in two files, first in "},
		{"a file that is not there", func(*checked) []string {
			return []string{"--file", "/nowhere/x"}
		}, exitFailed, "no such file"},
		{"a name that is none of a drop-in", func(c *checked) []string {
			return []string{"--file", c.write("tmp/x", ""), "--as", "20-site.conf"}
		}, exitUsage, "no name of a drop-in"},
		{"a secret beside the place, not beside the copy", func(c *checked) []string {
			c.write("conf.d/secret", "x")
			text := "cameras:\n  yard: {url: rtsp://192.0.2.3/, password_file: secret}\n"
			return []string{"--file", c.write("tmp/source", text), "--as", "20-site.yaml"}
		}, exitOK, "ok, 2 cameras"},
		{"a credential that only the daemon sees", func(c *checked) []string {
			text := "cameras:\n  yard: {url: rtsp://192.0.2.3/, password: \"${cred:yard}\"}\n"
			return []string{"--file", c.write("tmp/source", text), "--as", "20-site.yaml"}
		}, exitOK, "warning cameras.yard.password: cannot be looked at here"},
		{"what runs, where nothing has run", func(*checked) []string {
			return []string{"--diff"}
		}, exitNobody, "no daemon has run"},
		{"another file to compare with", func(c *checked) []string {
			return []string{"--diff", c.write("old/c.yaml", "version: 1\nhls: {mode: \"off\"}\naccess: {view: open}\n")}
		}, exitOK, "camera gate: is added"},
		{"a flag that there is not", func(*checked) []string { return []string{"--nonsense"} }, exitUsage, "usage"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newChecked(t)
			code, out, complaints := c.check(row.args(c)...)
			said := strings.ToLower(out + complaints)
			if code != row.code || !strings.Contains(said, strings.ToLower(row.says)) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, row.code, row.says, said)
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	c := newChecked(t)
	read := func(want int, args ...string) (p api.PlanResult) {
		t.Helper()
		code, out, complaints := c.check(append(args, "--json")...)
		if err := json.Unmarshal([]byte(out), &p); err != nil || code != want || complaints != "" {
			t.Errorf("exit code %d, want %d: %v\n%s%s", code, want, err, out, complaints)
		}
		return p
	}
	good := read(exitOK)
	if !good.Valid || len(good.Hash) != 64 || len(good.Errors) != 0 {
		t.Errorf("%+v", good)
	}
	bad := read(exitInvalid, "--file", c.write("x", "cameras: {gate: {password: hunter2}}\n"), "--as", "20-site.yaml")
	if bad.Valid || len(bad.Errors) != 1 || bad.Errors[0].Line != 1 || bad.Errors[0].Column != 11 ||
		!strings.Contains(bad.Errors[0].Excerpt, "password: ***}}\n          ^") {
		t.Errorf("%+v, %+v", bad, bad.Errors)
	}
}

// TestCheckDiffOfWhatRuns lets a daemon run on the files, and edits them.
func TestCheckDiffOfWhatRuns(t *testing.T) {
	c := newChecked(t)
	for _, server := range []string{"rtsp", "http", "rtmp", "srt", "api"} {
		c.write("conf.d/10-"+server+".yaml", server+": {listen: \"\"}\n")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Options{
			ConfigFile: filepath.Join(c.dir, "camrelay.yaml"), ConfigDirs: []string{filepath.Join(c.dir, "conf.d")},
			StateDir: filepath.Join(c.dir, "state"), RuntimeDir: filepath.Join(c.dir, "run"),
		}, slog.New(slog.DiscardHandler))
	}()
	eventually(t, time.Minute, "the configuration is kept", func() error {
		_, err := os.Stat(filepath.Join(c.dir, "state", "last-good.json"))
		return err
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if code, out, complaints := c.check("--diff"); code != exitOK || out != "nothing would be touched\n" {
		t.Errorf("exit code %d: %s%s", code, out, complaints)
	}
	c.write("conf.d/20-site.yaml", "cameras:\n  yard: {url: rtsp://192.0.2.9/, keep: ondemand}\n")
	const edit = "camera yard: reconnects\n"
	if code, out, complaints := c.check("--diff"); code != exitOK || out != edit {
		t.Errorf("exit code %d: %s%s", code, out, complaints)
	}
	code, out, complaints := commandLine(t, nil, "config", "diff", "-c", filepath.Join(c.dir, "camrelay.yaml"),
		"--state-dir", filepath.Join(c.dir, "state"), "--runtime-dir", filepath.Join(c.dir, "run"))
	if code != exitOK || out != edit {
		t.Errorf("config diff: exit code %d: %s%s", code, out, complaints)
	}
}
