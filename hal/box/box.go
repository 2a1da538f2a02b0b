// Package box reads everything that the rooms of hal know of a board into one
// report, and joins their judgements. It remembers nothing from one report to the
// next.
package box

import (
	"slices"
	"time"

	"camrelay/hal"
	"camrelay/hal/clock"
	"camrelay/hal/led"
	"camrelay/hal/memory"
	"camrelay/hal/net"
	"camrelay/hal/power"
	"camrelay/hal/thermal"
	"camrelay/hal/tmpfs"
	"camrelay/hal/watchdog"
)

// Report is how a board is.
type Report struct {
	Board     hal.Identity      `json:"board"`
	Thermal   thermal.State     `json:"thermal"`
	Power     power.State       `json:"power"`
	Clock     clock.State       `json:"clock"`
	Memory    memory.State      `json:"memory"`
	Runtime   tmpfs.State       `json:"runtime"` // where segments lie
	Links     []net.Link        `json:"links,omitempty"`
	LEDs      []led.LED         `json:"leds,omitempty"`
	Watchdogs []watchdog.Device `json:"watchdogs,omitempty"`
	Hung      []string          `json:"hung,omitempty"` // files that the kernel does not answer for
}

// Read reads a report. dir is where segments lie.
func Read(b *hal.Board, dir string) Report {
	r := Report{
		Board: b.Identity(), Thermal: thermal.Read(b), Power: power.Read(b), Clock: clock.Read(b), Memory: memory.Read(b),
		Runtime: tmpfs.Read(b, dir), Links: net.Read(b), LEDs: led.Read(b), Watchdogs: watchdog.Read(b),
	}
	r.Hung = b.Hung()
	return r
}

// Use is what a report is judged by, beside itself.
type Use struct {
	Now    time.Time
	Floor  time.Time // see clock.Judge
	Budget int64     // bytes that segments may take
	Used   int64     // and take
}

// Judge tells everything that is wrong, the gravest first, each once.
func (r *Report) Judge(u Use) []hal.Fault {
	all := slices.Concat(
		thermal.Judge(r.Thermal), power.Judge(r.Power), memory.Judge(r.Memory), net.Judge(r.Links),
		clock.Judge(r.Clock, u.Now, u.Floor), tmpfs.Judge(r.Runtime, u.Budget, u.Used), watchdog.Judge(r.Watchdogs),
	)
	if len(r.Hung) > 0 {
		all = append(all, hal.Fault{
			Name: "sensor_hung", Severity: hal.Notice, Text: "the kernel does not answer for " + r.Hung[0],
		})
	}
	rank := func(f hal.Fault) int {
		return slices.Index([]hal.Severity{hal.Grave, hal.Warn, hal.Notice}, f.Severity)
	}
	slices.SortStableFunc(all, func(a, b hal.Fault) int { return rank(a) - rank(b) })
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(f hal.Fault) bool {
		again := seen[f.Name]
		seen[f.Name] = true
		return again
	})
}
