package clock

import (
	"errors"
	"testing"
	"time"
)

// clocks are those of a kernel, of which both go on while the box is suspended.
type clocks struct {
	wall time.Time
	boot time.Duration
}

func (c *clocks) pass(d time.Duration) {
	c.wall = c.wall.Add(d)
	c.boot += d
}

func (c *clocks) set(step time.Duration) { c.wall = c.wall.Add(step) }

// read calls each time that one of them is read.
func (c *clocks) read(each func()) (Moment, error) {
	return moment(func() (time.Duration, error) { defer each(); return c.boot, nil },
		func() time.Time { defer each(); return c.wall })
}

func TestSteps(t *testing.T) {
	const years = 56 * 365 * 24 * time.Hour
	c := clocks{wall: time.Unix(10, 0), boot: time.Hour}
	var s Steps
	for _, row := range []struct {
		name      string
		pass, set time.Duration
		want      time.Duration
	}{
		{"the first look", 0, 0, 0},
		{"time goes by", 10 * time.Second, 0, 0},
		{"it is slewed", 10 * time.Second, 5 * time.Millisecond, 0},
		{"from 1970 to now", 10 * time.Second, years, years},
		{"back by two seconds", 10 * time.Second, -2 * time.Second, -2 * time.Second},
		{"suspended for a night", 8 * time.Hour, 0, 0},
		{"suspended, and set as it wakes", 8 * time.Hour, 3 * time.Second, 3 * time.Second},
	} {
		c.pass(row.pass)
		c.set(row.set)
		now, err := c.read(func() {})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Look(now); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// TestASuspendBetweenTwoReadings of one look is no step.
func TestASuspendBetweenTwoReadings(t *testing.T) {
	for after := range 3 {
		c := clocks{wall: time.Unix(10, 0), boot: time.Hour}
		var s Steps
		for look := range 3 {
			readings := 0
			now, err := c.read(func() {
				if look == 1 && readings == after {
					c.pass(time.Hour)
				}
				readings++
			})
			if err != nil {
				t.Fatal(err)
			}
			if step := s.Look(now); step != 0 {
				t.Errorf("a suspend after reading %d: a step of %v at look %d", after, step, look)
			}
		}
	}
}

func TestClocksThatCannotBeRead(t *testing.T) {
	broken := errors.New("no such clock")
	if _, err := moment(func() (time.Duration, error) { return 0, broken }, time.Now); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestTheKernelsClocks: what time.Now says lies between two times since the boot, and
// no look at them shows a step.
func TestTheKernelsClocks(t *testing.T) {
	var s Steps
	last := Moment{}
	for range 3 {
		now, err := Now()
		if err != nil {
			t.Fatal(err)
		}
		if step := s.Look(now); step != 0 || now.Boot < last.Boot {
			t.Errorf("a step of %v, %+v after %+v", step, now, last)
		}
		last = now
	}
}
