package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unit = "camrelay.service"

// analyze runs systemd-analyze, which needs no running systemd for this.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	if err != nil && len(out) == 0 {
		t.Fatalf("systemd-analyze, of Debian's package systemd: %v", err)
	}
	return string(out), err
}

// TestUnitIsConfined holds the unit to a score of 1.5: the threshold is ten times
// the score.
func TestUnitIsConfined(t *testing.T) {
	if out, err := analyze(t, "security", "--offline=yes", "--threshold=15", unit); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestUnitIsUnderstood(t *testing.T) {
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The program of the unit has to exist, and this one does.
	here, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	verify := func(text string) (string, error) {
		name := filepath.Join(t.TempDir(), unit)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return analyze(t, "verify", "--man=no", name)
	}
	sound := strings.Replace(string(text), "/usr/bin/camrelay", here, 1)
	if out, err := verify(sound); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := verify(sound + "\n[Service]\nProtectClokc=yes\n"); err == nil && out == "" {
		t.Error("a key that does not exist is not found")
	}
}

// TestUnitNeverGivesUp: nobody is at the box to start it again.
func TestUnitNeverGivesUp(t *testing.T) {
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Type=notify", "Restart=always", "StartLimitIntervalSec=0", "WatchdogSec=30", "RuntimeDirectoryPreserve=restart",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("%s is not in it", line)
		}
	}
}
