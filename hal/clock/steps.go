package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Moment is what two clocks say at once.
type Moment struct {
	Wall time.Time     // as time.Now has it
	Boot time.Duration // since the boot, also what the box was suspended for
}

// Now reads the clocks.
//
// Specification: clock_gettime(2), CLOCK_BOOTTIME.
func Now() (Moment, error) { return moment(sinceBoot, time.Now) }

func sinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("cannot read the time since the boot: %w", err)
	}
	return time.Duration(ts.Nano()), nil
}

// moment reads one clock between two readings of the other. Whatever comes between
// them, a suspend above all, would look like a step: the closest of a few counts.
func moment(boot func() (time.Duration, error), wall func() time.Time) (best Moment, err error) {
	closest := time.Duration(-1)
	for range 3 {
		before, err := boot()
		if err != nil {
			return Moment{}, err
		}
		now := wall()
		after, err := boot()
		if err != nil {
			return Moment{}, err
		}
		if apart := after - before; closest < 0 || apart < closest {
			best, closest = Moment{now, before + apart/2}, apart
		}
		if closest < time.Millisecond {
			break
		}
	}
	return best, nil
}

// Steps finds out when the wall clock is set. The zero value is ready.
type Steps struct {
	begun bool
	last  Moment
}

// smallest is the step that counts: less is what a clock that is slewed may show
// between two looks.
const smallest = time.Second

// Look returns by how much the wall clock has been set since the last look, 0 if it
// has not. A suspend in between is time that went by, and no step.
func (s *Steps) Look(now Moment) time.Duration {
	now.Wall = now.Wall.Round(0) // without Go's monotonic reading, which a suspend stops
	step := now.Wall.Sub(s.last.Wall) - (now.Boot - s.last.Boot)
	begun := s.begun
	s.begun, s.last = true, now
	if !begun || step.Abs() < smallest {
		return 0
	}
	return step
}
