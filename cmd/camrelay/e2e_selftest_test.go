package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"camrelay/selftest"
)

// TestSelftest runs the self test beside a program that has the port of RTSP: that
// is found, and everything else is well, bit by bit.
func TestSelftest(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const leftovers = "/dev/shm/camrelay-selftest-*"
	before, err := filepath.Glob(leftovers)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "camrelay.yaml")
	text := fmt.Sprintf("version: 1\nrtsp: {listen: %q}\nhttp: {listen: \"127.0.0.1:0\"}\nrtmp: {listen: \"\"}\n"+
		"srt: {listen: \"\"}\napi: {listen: \"\"}\nmetrics: {listen: \"\"}\n", l.Addr())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Getenv(binEnv), "selftest", "-c", conf, "--quick", "--json",
		"--state-dir", filepath.Join(dir, "state"), "--runtime-dir", filepath.Join(dir, "run"))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ends with %v: %s", err, &complaints)
	}
	var report selftest.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	verdicts := make(map[string]selftest.Result)
	for _, c := range report.Checks {
		verdicts[c.Name] = c
	}
	if c := verdicts["ports"]; c.Verdict != selftest.Fail || !strings.Contains(c.Reason, "another program has the port") {
		t.Errorf("ports: %+v", c)
	}
	for _, name := range []string{"libsrt", "config", "files", "camera", "rtsp", "hls", "rtmp", "srt"} {
		if c := verdicts[name]; c.Verdict != selftest.OK {
			t.Errorf("%+v", c)
		}
	}
	if c := verdicts["load"]; c.Verdict != selftest.Skip {
		t.Errorf("%+v", c)
	}
	after, err := filepath.Glob(leftovers)
	for _, name := range after {
		if !slices.Contains(before, name) {
			t.Errorf("it leaves %s", name)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
