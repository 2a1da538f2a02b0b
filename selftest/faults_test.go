package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/hal"
)

// newRun returns a run on this machine that finds no fault, but for its hardware.
func newRun(t *testing.T) *run {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"state", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b, err := hal.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	r := &run{Config: Config{
		Version: "test", Root: "/", StateDir: filepath.Join(dir, "state"), RuntimeDir: filepath.Join(dir, "run"),
		Scratch: "/dev/shm", Quick: true, Now: time.Now,
		Floor: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Progress: func(Result) {},
		Library: func() (string, error) { return "1.5.1", nil },
		Files:   config.Options{File: filepath.Join(dir, "camrelay.yaml")},
	}, board: b}
	r.write(t, "version: 1\nrtsp: {listen: \"127.0.0.1:0\"}\nhttp: {listen: \"\"}\nrtmp: {listen: \"\"}\n"+
		"srt: {listen: \"\"}\napi: {listen: \"\"}\nmetrics: {listen: \"\"}\n")
	return r
}

func (r *run) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(r.Files.File, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dropIn writes a file beside the configuration, in a directory that everybody may
// enter, and has the configuration read. It returns the directory.
func (r *run) dropIn(t *testing.T, text string, mode os.FileMode) (dir string) {
	t.Helper()
	dir = filepath.Join(filepath.Dir(r.Files.File), "conf.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "50-x.yaml")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	r.Files.Dirs = []string{dir}
	r.wants(t, OK, "", the(t, "config"))
	return dir
}

// wants does checks, and holds the last against a verdict and a reason.
func (r *run) wants(t *testing.T, v Verdict, why string, checks ...check) {
	t.Helper()
	var res Result
	for _, c := range checks {
		res = r.one(t.Context(), c)
	}
	if res.Verdict != v || !strings.Contains(res.Reason, why) {
		t.Errorf("%s is %s because %q, want %s because %q", res.Name, res.Verdict, res.Reason, v, why)
	}
}

// the returns a check of the table.
func the(t *testing.T, name string) check {
	t.Helper()
	for _, all := range [][]check{hardware(), software(), pipeline()} {
		for _, c := range all {
			if c.name == name {
				return c
			}
		}
	}
	t.Fatalf("there is no check %q", name)
	return check{}
}

func TestABoxWithoutFaults(t *testing.T) {
	r := newRun(t)
	for _, name := range []string{"board", "clock", "libsrt", "config", "files", "ports"} {
		r.wants(t, OK, "", the(t, name))
	}
}

// mountTmpfs mounts a small tmpfs, which takes root.
func mountTmpfs(t *testing.T, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size=4m"); err != nil {
		t.Fatalf("this test mounts a tmpfs, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestPlantedFaults: each is found, with the right reason.
func TestPlantedFaults(t *testing.T) {
	for _, row := range []struct {
		name, check string
		plant       func(t *testing.T, r *run)
		verdict     Verdict
		why         string
	}{
		{"the clock says 1970", "clock", func(_ *testing.T, r *run) {
			r.Now = func() time.Time { return time.Unix(60, 0) }
		}, Fail, "the clock says 1970-01-01"},
		{"an old libsrt", "libsrt", func(_ *testing.T, r *run) {
			r.Library = func() (string, error) { return "1.4.4", errors.New("libsrt 1.4.4 is older than 1.5.1") }
		}, Fail, "libsrt 1.4.4 is older than 1.5.1: it has known holes"},
		{"a misspelt key", "config", func(t *testing.T, r *run) {
			r.write(t, "version: 1\ncamras: {}\n")
		}, Fail, "camrelay.yaml:2:1"},
		{"no configuration", "config", func(t *testing.T, r *run) {
			if err := os.Remove(r.Files.File); err != nil {
				t.Fatal(err)
			}
		}, Fail, "camrelay.yaml"},
		{"no permission to write", "files", func(t *testing.T, r *run) {
			if err := os.Chmod(r.StateDir, 0o555); err != nil {
				t.Fatal(err)
			}
			r.User = "nobody"
		}, Fail, "may not write to "},
		{"a drop-in that the service cannot read", "files", func(t *testing.T, r *run) {
			r.dropIn(t, "cameras: {}\n", 0o600)
			r.User = "nobody"
		}, Fail, "50-x.yaml (-rw-------)"},
		{"a secret that the service cannot read", "files", func(t *testing.T, r *run) {
			secret := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.dropIn(t, fmt.Sprintf("access: {view: open}\ncameras:\n"+
				"  gate: {url: \"rtsp://127.0.0.1/\", username: u, password_file: %q}\n", secret), 0o644)
			r.User = "nobody"
		}, Fail, "/secret (-rw-------)"},
		{"a port that takes a right", "ports", func(_ *testing.T, r *run) {
			r.conf.RTSP.Listen = "127.0.0.1:997"
			r.User = "nobody"
		}, Warn, "nobody may not listen: rtsp at 127.0.0.1:997"},
		{"a port that another program has", "ports", func(t *testing.T, r *run) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			r.conf.RTSP.Listen = l.Addr().String()
		}, Fail, "rtsp cannot listen at 127.0.0.1:"},
		{"a port of UDP that another program has", "ports", func(t *testing.T, r *run) {
			c, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			r.conf.SRT.Listen = c.LocalAddr().String()
		}, Fail, "another program has the port"},
		{"an address that is not the box's", "ports", func(_ *testing.T, r *run) {
			r.conf.HTTP.Listen = "192.0.2.1:8888"
		}, Fail, "the box does not have this address"},
		{"a tmpfs that is too small", "tmpfs", func(t *testing.T, r *run) {
			r.RuntimeDir = mountTmpfs(t, 0)
		}, Fail, "has 4 MiB, the cameras need 16"},
		{"a runtime directory that cannot be written to", "tmpfs", func(t *testing.T, r *run) {
			r.RuntimeDir = mountTmpfs(t, unix.MS_RDONLY)
		}, Fail, "cannot be written to"},
		{"no place for the test", "tmpfs", func(t *testing.T, r *run) {
			r.RuntimeDir, r.Scratch = "/dev/shm", filepath.Join(t.TempDir(), "nowhere")
		}, Fail, "no such file or directory"},
		{"too few files may be open", "limits", func(t *testing.T, _ *run) {
			var before unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 200, Max: before.Max}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
					t.Error(err)
				}
			})
		}, Fail, "only 200 files may be open"},
		{"a board that is too hot", "hardware", func(_ *testing.T, r *run) {
			r.report.Thermal.Zones = append(r.report.Thermal.Zones, hot())
		}, Fail, "cpu-thermal has 108 °C; at 110 °C the board switches off"},
		{"a service that runs and is not well", "ports", func(t *testing.T, r *run) {
			serve(t, r, &api.Status{Config: api.ConfigStatus{Problems: []string{"srt: the port is in use"}}})
		}, Fail, "the service that runs says: srt: the port is in use"},
		{"a service that has rejected an edit", "ports", func(t *testing.T, r *run) {
			serve(t, r, &api.Status{Config: api.ConfigStatus{
				Errors: config.Errors{{File: "50-x.yaml", Line: 2, Column: 1, Message: "unknown key"}},
			}})
		}, Fail, "has rejected the configuration: 50-x.yaml:2:1"},
		{"a daemon that does not start", "camera", func(_ *testing.T, r *run) {
			r.Library = func() (string, error) { return "", nil }
			r.Daemon = func(context.Context, string, string, string) error { return errors.New("no runtime directory") }
		}, Fail, "the daemon has ended: no runtime directory"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRun(t)
			if row.check == "ports" {
				r.wants(t, OK, "", the(t, "config"))
			}
			row.plant(t, r)
			r.wants(t, row.verdict, row.why, the(t, row.check))
			if r.bench != nil {
				t.Error("a camera is left behind")
			}
		})
	}
}

// serve is a daemon that answers with one status after the other, the last for
// ever.
func serve(t *testing.T, r *run, all ...*api.Status) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(r.RuntimeDir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(all[min(next, len(all)-1)])
		next++
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
}

func TestWaitHealthy(t *testing.T) {
	now := time.Now()
	well := &api.Status{Config: api.ConfigStatus{AppliedAt: &now}, Cameras: []api.CameraStatus{
		{Name: "gate", Health: api.HealthStatus{Warm: true, State: "warm"}},
		{Name: "yard", RunStatus: api.RunStatus{State: "idle"}},
	}}
	cold := &api.Status{Config: api.ConfigStatus{AppliedAt: &now}, Cameras: []api.CameraStatus{
		{Name: "gate", Health: api.HealthStatus{State: "reconnecting"}},
	}, Pushes: []api.PushStatus{{Name: "up", RunStatus: api.RunStatus{State: "starting"}}}}
	t.Run("it becomes well", func(t *testing.T) {
		r := newRun(t)
		serve(t, r, cold, cold, well)
		if err := WaitHealthy(t.Context(), r.Files, r.RuntimeDir, time.Minute); err != nil {
			t.Error(err)
		}
	})
	t.Run("it does not", func(t *testing.T) {
		r := newRun(t)
		serve(t, r, cold)
		err := WaitHealthy(t.Context(), r.Files, r.RuntimeDir, time.Second)
		if err == nil || !strings.Contains(err.Error(), "camera gate is reconnecting; push up is starting") {
			t.Error(err)
		}
	})
	t.Run("nobody is there, and the configuration is broken", func(t *testing.T) {
		r := newRun(t)
		r.write(t, "version: 7\n")
		err := WaitHealthy(t.Context(), r.Files, r.RuntimeDir, 100*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "not healthy after 100ms") {
			t.Error(err)
		}
	})
}

// TestOtherBoards tests the hardware of each board that hal knows, and nothing else.
func TestOtherBoards(t *testing.T) {
	for board, want := range map[string]Verdict{
		"raspberrypi4": Fail, "raspberrypi5": OK, "rock5b": OK, "imx8mp-evk": OK, "qemu-virt": OK, "pc": Fail,
	} {
		r := newRun(t)
		r.Root = filepath.Join("../hal/box/testdata/boards", board)
		r.RuntimeDir = "/run/camrelay"
		var told int
		r.Progress = func(Result) { told++ }
		report, err := Run(t.Context(), r.Config)
		if err != nil {
			t.Fatal(err)
		}
		if report.Verdict != want || len(report.Checks) != 3 || told != 6 {
			t.Errorf("%s is %s, want %s: %+v", board, report.Verdict, want, report.Checks)
		}
		if err := json.NewEncoder(io.Discard).Encode(report); err != nil {
			t.Error(err)
		}
	}
	if _, err := Run(t.Context(), Config{Root: filepath.Join(t.TempDir(), "nowhere")}); err == nil {
		t.Error("a board that is not there passes")
	}
}
