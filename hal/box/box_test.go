package box

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"camrelay/hal"
)

var update = flag.Bool("update", false, "write the golden files")

// when is when the boards of testdata were read.
var when = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func use() Use {
	return Use{Now: when, Floor: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Budget: 256 << 20}
}

func open(t *testing.T, dir string) *hal.Board {
	t.Helper()
	b, err := hal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// golden is what is kept of a board.
type golden struct {
	Report Report      `json:"report"`
	Faults []hal.Fault `json:"faults"`
}

// TestBoards reads every directory of testdata/boards: a new board is a new
// directory, and go test -update.
func TestBoards(t *testing.T) {
	dirs, err := filepath.Glob("testdata/boards/*/sys")
	if err != nil || len(dirs) < 6 {
		t.Fatalf("%d boards, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		dir = filepath.Dir(dir)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			b := open(t, dir)
			b.SetPatience(time.Minute) // a test machine under load is no hung sensor
			r := Read(b, "/run/camrelay")
			got, err := json.MarshalIndent(golden{r, r.Judge(use())}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			name := dir + ".json"
			if *update {
				if err := os.WriteFile(name, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v: it reads\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

// copyBoard copies the rock5b to where a test may spoil it.
func copyBoard(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/boards/rock5b")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestASensorThatHangs puts a FIFO where a sensor is: opening it waits for ever.
func TestASensorThatHangs(t *testing.T) {
	dir := copyBoard(t)
	const sensor = "sys/devices/virtual/thermal/thermal_zone1/temp"
	name := filepath.Join(dir, sensor)
	if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
		t.Fatal(err)
	}
	whole := open(t, "testdata/boards/rock5b")
	whole.SetPatience(time.Minute)
	before := Read(whole, "/run/camrelay")
	b := open(t, dir)
	b.SetPatience(2 * time.Second) // the test machine under load may take half of it
	var r Report
	goroutines := 0
	for i := range 20 { // it hangs once, however often it is asked
		began := time.Now()
		r = Read(b, "/run/camrelay")
		if i == 0 {
			goroutines = runtime.NumGoroutine()
			if time.Since(began) < 2*time.Second {
				t.Error("the sensor does not hang")
			}
		}
	}
	await(t, "no more goroutines than after the first report", func() bool {
		return runtime.NumGoroutine() <= goroutines
	})
	if want := []string{"/sys/class/thermal/thermal_zone1/temp"}; !slices.Equal(r.Hung, want) {
		t.Errorf("hung: %q", r.Hung)
	}
	if r.Thermal.Zones[1].Celsius != nil || *r.Thermal.Zones[2].Celsius != *before.Thermal.Zones[2].Celsius ||
		len(r.Thermal.Zones) != len(before.Thermal.Zones) {
		t.Errorf("the zones are %+v", r.Thermal.Zones)
	}
	faults := r.Judge(use())
	isHung := func(f hal.Fault) bool { return f.Name == "sensor_hung" && f.Severity == hal.Notice }
	if !slices.ContainsFunc(faults, isHung) {
		t.Errorf("faults %v", faults)
	}

	// The driver wakes up: the sensor is read again.
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("41000\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	await(t, "nothing hangs", func() bool { return len(b.Hung()) == 0 })
	if err := errors.Join(os.Remove(name), os.WriteFile(name, []byte("42000\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if r = Read(b, "/run/camrelay"); r.Thermal.Zones[1].Celsius == nil || *r.Thermal.Zones[1].Celsius != 42 {
		t.Errorf("the zone is %+v", r.Thermal.Zones[1])
	}
}

// await polls until the condition holds; it fails the test after a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !holds() {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatal("waited in vain: " + what)
		}
	}
}

// TestSpoiltFiles gives every file of a board what no driver should, in turn.
func TestSpoiltFiles(t *testing.T) {
	for what, spoil := range map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"binary":    func([]byte) []byte { return []byte("\x00\xff\xfe\x80\n\x00\x1b[31m") },
		"words":     func([]byte) []byte { return []byte("unknown\n") },
		"huge":      func([]byte) []byte { return bytes.Repeat([]byte("9"), 400<<10) },
		"negative":  func([]byte) []byte { return []byte("-9223372036854775808\n") },
	} {
		t.Run(what, func(t *testing.T) {
			dir := copyBoard(t)
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				text, err := os.ReadFile(path)
				return errors.Join(err, os.WriteFile(path, spoil(text), 0o600))
			})
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, dir)
			b.SetPatience(time.Minute)
			r := Read(b, "/run/camrelay")
			text, err := json.Marshal(golden{r, r.Judge(use())})
			if err != nil || !utf8.Valid(text) || len(text) > 64<<10 {
				t.Errorf("%d bytes, %v: %.200s", len(text), err, text)
			}
			for _, f := range r.Judge(use()) {
				if what != "truncated" && f.Severity == hal.Grave && f.Name != "no_link" {
					t.Errorf("nonsense is grave: %+v", f)
				}
			}
		})
	}
}

// TestNoBoardAtAll: nothing is there, and nothing is wrong.
func TestNoBoardAtAll(t *testing.T) {
	r := Read(open(t, t.TempDir()), "/run/camrelay")
	if all := r.Judge(use()); len(all) > 0 {
		t.Errorf("faults %v", all)
	}
	if _, err := hal.Open(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Error("a directory that is not there is a board")
	}
}

// TestThisBox reads the machine that the test runs on.
func TestThisBox(t *testing.T) {
	b := open(t, "/")
	b.SetPatience(time.Minute)
	r := Read(b, "/dev/shm")
	if !b.Live || r.Board.CPUs == 0 || r.Memory.Total == 0 || r.Runtime.Type != "tmpfs" || r.Runtime.Size == 0 {
		t.Errorf("%+v", r)
	}
}
