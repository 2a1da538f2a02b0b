package watchdog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camrelay/hal"
)

// fake is a device that keeps what it is told.
type fake struct {
	told     []string
	atMost   int // seconds
	refuses  error
	closings int
}

func (f *fake) setTimeout(seconds int) (int, error) { return min(seconds, f.atMost), f.refuses }

func (f *fake) write(text string) error {
	f.told = append(f.told, text)
	return nil
}

func (f *fake) close() error {
	f.closings++
	return nil
}

func TestDog(t *testing.T) {
	f := &fake{atMost: 15}
	d, err := arm(f, 30*time.Second)
	if err != nil || d.Timeout() != 15*time.Second {
		t.Fatalf("%v, %v", d, err)
	}
	if err := errors.Join(d.Feed(), d.Feed(), d.Disarm()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"\n", "\n", "V"}; !slices.Equal(f.told, want) || f.closings != 1 {
		t.Errorf("told %q, closed %d times", f.told, f.closings)
	}
}

// TestADogThatCannotBeSetUp must not bite.
func TestADogThatCannotBeSetUp(t *testing.T) {
	f := &fake{refuses: errors.New("not supported")}
	if _, err := arm(f, time.Second); err == nil {
		t.Error("it is armed")
	}
	if !slices.Equal(f.told, []string{"V"}) || f.closings != 1 {
		t.Errorf("told %q, closed %d times", f.told, f.closings)
	}
}

// TestADogThatIsTooFast cannot be fed in time.
func TestADogThatIsTooFast(t *testing.T) {
	f := &fake{atMost: 8}
	if _, err := arm(f, time.Minute); err == nil {
		t.Error("it is armed")
	}
	if !slices.Equal(f.told, []string{"V"}) || f.closings != 1 {
		t.Errorf("told %q, closed %d times", f.told, f.closings)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "dev"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dev", "watchdog0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := hal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, name := range []string{"watchdog1", "../sda", "sda", "", "watchdog0/../x", "watchdog0"} { // a file is no device
		if _, err := Open(b, name, time.Minute); err == nil {
			t.Errorf("%q is armed", name)
		}
	}
}

func TestJudge(t *testing.T) {
	if all := Judge([]Device{{Identity: "x"}}); all != nil {
		t.Errorf("%v", all)
	}
	all := Judge([]Device{{Identity: "x"}, {Identity: "y", Reset: true}})
	if len(all) != 1 || all[0].Name != "watchdog_reset" {
		t.Errorf("%v", all)
	}
}
