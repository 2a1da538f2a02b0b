// Package clock tells whether the time of the box can be trusted. Boards without
// a battery start in 1970, or where they were switched off, and jump when they
// have found a time server. It sets nothing.
package clock

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/hal"
)

// State is what is known of the clock.
type State struct {
	// Synced tells whether somebody keeps the clock right; nil if that cannot be
	// told, as in a sandbox.
	Synced *bool `json:"synced,omitempty"`
	RTCs   []RTC `json:"rtcs,omitempty"` // clocks that go on without power
}

// RTC is a clock chip.
type RTC struct {
	Name  string `json:"name"`
	Boot  bool   `json:"boot"`            // the time was taken from it at boot
	Epoch *int64 `json:"epoch,omitempty"` // its time in seconds
}

// Read reads all of it.
//
// Files: /run/systemd/timesync/synchronized, which is there once systemd-timesyncd
// has set the clock; /sys/class/rtc/rtc*/{name,hctosys,since_epoch}.
// Specification: adjtimex(2).
func Read(b *hal.Board) State {
	var s State
	if b.Live {
		if synced, ok := asked(); ok {
			s.Synced = &synced
		}
	}
	if s.Synced == nil {
		s.Synced = told(b.Run)
	}
	const class = "class/rtc/"
	for _, dir := range b.Sys.List(class) {
		r := RTC{Name: b.Sys.Line(class + dir + "/name"), Epoch: b.Sys.Int(class + dir + "/since_epoch")}
		if boot := b.Sys.Int(class + dir + "/hctosys"); boot != nil {
			r.Boot = *boot == 1
		}
		if r.Name != "" {
			s.RTCs = append(s.RTCs, r)
		}
	}
	return s
}

// told tells what systemd-timesyncd has left behind, nil if it does not run.
func told(run *hal.Tree) *bool {
	_, err := run.Read("systemd/timesync/synchronized")
	switch {
	case err == nil:
		return new(true)
	case errors.Is(err, fs.ErrNotExist) && len(run.List("systemd/timesync")) > 0:
		return new(false)
	}
	return nil
}

// asked asks the kernel, which a sandbox may forbid.
func asked() (synced, ok bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}

// Judge tells what is wrong: clock_wrong, clock_not_synced. No time is before
// floor, when this program was made.
func Judge(s State, now, floor time.Time) []hal.Fault {
	if now.Before(floor) {
		return []hal.Fault{{Name: "clock_wrong", Severity: hal.Warn, Text: fmt.Sprintf(
			"the clock says %s, which has passed: certificates and time stamps cannot be trusted",
			now.UTC().Format(time.DateOnly))}}
	}
	if s.Synced != nil && !*s.Synced {
		return []hal.Fault{{
			Name: "clock_not_synced", Severity: hal.Notice, Text: "no time server has been reached: the clock may be wrong",
		}}
	}
	return nil
}
