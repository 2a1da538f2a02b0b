package daemon

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
)

// fakeDog writes down what is done with it.
type fakeDog struct {
	name string
	told *[]string
}

func (d fakeDog) Feed() error {
	*d.told = append(*d.told, "feed "+d.name)
	return nil
}

func (d fakeDog) Disarm() error {
	*d.told = append(*d.told, "disarm "+d.name)
	return nil
}

func TestKennel(t *testing.T) {
	var told []string
	appears := false
	k := kennel{log: slog.New(slog.DiscardHandler), open: func(_, name string) (feeder, error) {
		if name == "watchdog9" && !appears {
			return nil, errors.New("there is none")
		}
		told = append(told, "arm "+name)
		return fakeDog{name, &told}, nil
	}}
	k.feed() // none is armed
	k.retry()
	for _, name := range []string{"", "watchdog0", "watchdog0", "watchdog1", "watchdog9", "watchdog0"} {
		k.use(name)
		k.feed()
	}
	k.use("watchdog9")
	if got := k.problems(); !slices.Equal(got, []string{"box.watchdog: there is none"}) {
		t.Errorf("problems %q", got)
	}
	appears = true
	k.retry()
	k.feed()
	k.retry()
	if got := k.problems(); got != nil {
		t.Errorf("problems %q", got)
	}
	k.close()
	k.close()
	want := []string{
		"arm watchdog0", "feed watchdog0", "feed watchdog0", "disarm watchdog0", "arm watchdog1", "feed watchdog1",
		"disarm watchdog1", "arm watchdog0", "feed watchdog0", "disarm watchdog0",
		"arm watchdog9", "feed watchdog9", "disarm watchdog9",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
	if _, err := openDog(t.TempDir(), "watchdog0"); err == nil {
		t.Error("a board without devices has a watchdog")
	}
}
