package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/config"
)

// deploy runs the example playbook of packaging with Debian's Ansible on a
// drop-in, and returns what it prints.
func (b *box) deploy(text string) (out string, err error) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "site.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	home := b.t.TempDir()
	cmd := exec.Command("ansible-playbook", "-i", "localhost,", "-c", "local", "deploy.yml",
		"-e", "ansible_python_interpreter=/usr/bin/python3", "-e", "camrelay_become=false",
		"-e", "site_file="+file, "-e", "camrelay_config="+b.config(), "-e", "camrelay_binary="+os.Getenv(binEnv),
		"-e", "camrelay_state="+filepath.Join(b.dir, "state"),
		"-e", "camrelay_socket="+filepath.Join(b.runtime, "api.sock"))
	cmd.Dir = "../../packaging/examples/ansible"
	cmd.Env = append(os.Environ(), "HOME="+home, "ANSIBLE_HOME="+home, "ANSIBLE_LOCALHOST_WARNING=false",
		"ANSIBLE_NOCOLOR=1", "ANSIBLE_PIPELINING=1", "LC_ALL=C.UTF-8")
	printed, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(printed), "PLAY RECAP") {
		b.t.Fatalf("ansible-playbook does not run; ansible-core is installed by make test: %v\n%s", err, printed)
	}
	return string(printed), err
}

// TestAnsible deploys a drop-in: a good one, which changes nothing a second
// time; one that is broken and is not even saved; and one that the daemon reverts
// because its camera stays cold, upon which the play takes it back. A push with a
// mistake that the API was told to keep is none of the drop-in's.
func TestAnsible(t *testing.T) {
	t.Parallel()
	cam := startFakeCam(t)
	b := startBox(t, fmt.Sprintf("version: 1\naccess: {view: open}\nconfirm: {timeout: 3s}\n"+
		"cameras:\n  other: {url: %q}\n", cam.url("cam2")))
	b.awaitActive("other")
	dropIn := filepath.Join(b.dir, "conf.d", "20-site.yaml")
	site := func(url string) string { return fmt.Sprintf("cameras:\n  yard: {url: %q, transport: tcp}\n", url) }

	if out, err := b.deploy("cameras:\n  yard: {ulr: \"rtsp://192.0.2.1/\"}\n"); err == nil ||
		!strings.Contains(out, `:2:10 error cameras.yard: unknown key \"ulr\" (did you mean \"url\"?)`) {
		t.Errorf("a broken drop-in: %v\n%s", err, out)
	}
	if _, err := os.Stat(dropIn); err == nil {
		t.Error("the broken drop-in was saved")
	}
	if out, err := b.deploy(site(cam.url("cam1"))); err != nil {
		t.Fatalf("a good drop-in: %v\n%s", err, out)
	}
	if st := b.decided(); st.State != "applied" || len(st.Files) != 2 {
		t.Errorf("the play has ended, and the status is %+v", st)
	}
	eventually(t, time.Minute, "the camera of the drop-in is warm", func() error {
		c, err := b.camera("yard")
		if err == nil && c.Health.State != "warm" {
			err = fmt.Errorf("health %+v", c.Health)
		}
		return err
	})
	kept := filepath.Join(b.dir, "state", "api.yaml")
	if err := os.WriteFile(kept, []byte(`{"pushes": {"up": {"camera": "yard", "url": "ftp://h/"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := b.deploy(site(cam.url("cam1"))); err != nil || !strings.Contains(out, "changed=0") {
		t.Errorf("the same again: %v\n%s", err, out)
	}
	r := b.call(http.MethodGet, "/v1/config/status", "").want(http.StatusOK)
	if !strings.Contains(r.text, `"state":"partial"`) {
		t.Errorf("beside a broken push: %s", r.text)
	}
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	out, err := b.deploy(site("rtsp://127.0.0.1:1/"))
	if err == nil || !strings.Contains(out, "rolled_back") || !strings.Contains(out, "warm before the edit") {
		t.Errorf("a drop-in that makes its camera cold: %v\n%s", err, out)
	}
	if text, err := os.ReadFile(dropIn); err != nil || string(text) != site(cam.url("cam1")) {
		t.Errorf("the drop-in of before is not back: %v\n%s", err, text)
	}
	if st := b.decided(); st.State != "applied" || st.Hash != st.AppliedHash {
		t.Errorf("after the play: %+v\n%s", st, config.Format(st.Errors, false))
	}
	b.checkUntouched("other")
}
