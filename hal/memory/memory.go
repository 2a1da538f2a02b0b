// Package memory reads how much memory is left, and how long work waits for it.
// It frees nothing.
package memory

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"camrelay/hal"
)

// State is what the kernel tells. Sizes are in bytes, 0 if not known.
type State struct {
	Total     int64     `json:"total"`
	Available int64     `json:"available"`
	Group     *Group    `json:"group,omitempty"` // of this process; nil without cgroup v2
	Pressure  *Pressure `json:"pressure,omitempty"`
}

// Group is the control group of this process.
// Specification: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory
type Group struct {
	Used  int64 `json:"used"`  // without what the kernel can drop at once
	Limit int64 `json:"limit"` // the lower of memory.high and memory.max; 0: none
	Kills int64 `json:"kills"` // processes that were ended for lack of memory
}

// Pressure is the share of time, in percent, in which work waited for memory.
// Specification: https://docs.kernel.org/accounting/psi.html
type Pressure struct {
	Some10 float64 `json:"some10"` // some of it, over 10 s
	Some60 float64 `json:"some60"`
	Full10 float64 `json:"full10"` // all of it
	Full60 float64 `json:"full60"`
}

// Read reads all of it. In a sandbox that hides /proc the kernel is asked
// otherwise, and the pressure is that of the control group.
//
// Files: /proc/meminfo, /proc/pressure/memory, /proc/self/cgroup,
// /sys/fs/cgroup/…/memory.{current,stat,high,max,events,pressure}.
func Read(b *hal.Board) State {
	var s State
	if text, err := b.Proc.Read("meminfo"); err == nil {
		s.Total, s.Available = parseMeminfo(text)
	} else if b.Live {
		s.Total = asked()
	}
	pressure, err := b.Proc.Read("pressure/memory")
	if text, failed := b.Proc.Read("self/cgroup"); failed == nil {
		if dir, ok := parseCgroup(text); ok {
			s.Group = readGroup(b.Sys, dir)
			if err != nil {
				pressure, err = b.Sys.Read(path.Join(dir, "memory.pressure"))
			}
		}
	}
	if err == nil {
		s.Pressure = parsePressure(pressure)
	}
	return s
}

// asked returns the total by sysinfo(2), which does not know what could be freed.
func asked() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// parseMeminfo returns the totals of a table of kibibytes.
func parseMeminfo(b []byte) (total, available int64) {
	for line := range bytes.Lines(b) {
		name, rest, _ := strings.Cut(string(line), ":")
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 53)
		if err != nil || n < 0 {
			continue
		}
		switch name {
		case "MemTotal":
			total = n << 10
		case "MemAvailable":
			available = n << 10
		}
	}
	if available > total {
		return total, 0
	}
	return total, available
}

// parseCgroup returns the directory of a process's group below /sys.
func parseCgroup(b []byte) (dir string, ok bool) {
	for line := range bytes.Lines(b) {
		group, found := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "0::/")
		if dir = path.Join("fs/cgroup", group); found && fs.ValidPath(dir) && strings.HasPrefix(dir, "fs/cgroup") {
			return dir, true
		}
	}
	return "", false
}

func readGroup(sys *hal.Tree, dir string) *Group {
	used := sys.Int(dir + "/memory.current")
	if used == nil { // the root, or a cgroup without this controller
		return nil
	}
	g := &Group{Used: *used}
	for _, file := range []string{"/memory.high", "/memory.max"} {
		if n := sys.Int(dir + file); n != nil && *n > 0 && (g.Limit == 0 || *n < g.Limit) {
			g.Limit = *n
		}
	}
	if text, err := sys.Read(dir + "/memory.stat"); err == nil {
		g.Used = max(0, g.Used-parseCounter(text, "inactive_file"))
	}
	if text, err := sys.Read(dir + "/memory.events"); err == nil {
		g.Kills = parseCounter(text, "oom_kill")
	}
	return g
}

// parseCounter returns a value of a table of names and numbers, 0 if it is missing.
func parseCounter(b []byte, name string) int64 {
	for line := range bytes.Lines(b) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			if n := hal.Int(value); n != nil && *n >= 0 {
				return *n
			}
		}
	}
	return 0
}

// parsePressure returns the shares, nil if the text has none.
func parsePressure(b []byte) *Pressure {
	var p Pressure
	found := false
	for line := range bytes.Lines(b) {
		words := strings.Fields(string(line))
		if len(words) == 0 {
			continue
		}
		ten, sixty := &p.Some10, &p.Some60
		switch words[0] {
		case "some":
		case "full":
			ten, sixty = &p.Full10, &p.Full60
		default:
			continue
		}
		for _, w := range words[1:] {
			name, value, _ := strings.Cut(w, "=")
			percent, err := strconv.ParseFloat(value, 64)
			if err != nil || !(percent >= 0 && percent <= 100) {
				continue
			}
			switch name {
			case "avg10":
				*ten, found = percent, true
			case "avg60":
				*sixty = percent
			}
		}
	}
	if !found {
		return nil
	}
	return &p
}

// Level is how short memory is.
type Level int

// The levels.
const (
	Plenty Level = iota
	Short        // what makes things nicer is in the way
	Scarce       // what can be made again is in the way
	Empty        // the kernel is about to end processes
)

// Level tells how short memory is.
func (s State) Level() Level {
	level := Plenty
	raise := func(l Level, when bool) {
		if when {
			level = max(level, l)
		}
	}
	if s.Total > 0 && s.Available > 0 {
		left := float64(s.Available) / float64(s.Total)
		raise(Short, left < 0.12)
		raise(Scarce, left < 0.07)
		raise(Empty, left < 0.03)
	}
	if g := s.Group; g != nil && g.Limit > 0 {
		used := float64(g.Used) / float64(g.Limit)
		raise(Short, used > 0.85)
		raise(Scarce, used > 0.92)
		raise(Empty, used > 0.98)
	}
	if p := s.Pressure; p != nil {
		raise(Short, p.Some10 >= 10)
		raise(Scarce, p.Full10 >= 10)
		raise(Empty, p.Full10 >= 40)
	}
	return level
}

// Judge tells what is wrong: memory_short, memory_scarce, memory_empty.
func Judge(s State) []hal.Fault {
	var what []string
	if s.Available > 0 {
		what = append(what, fmt.Sprintf("%d of %d MiB are available", s.Available>>20, s.Total>>20))
	}
	if g := s.Group; g != nil && g.Limit > 0 {
		what = append(what, fmt.Sprintf("the service uses %d of %d MiB", g.Used>>20, g.Limit>>20))
	}
	if p := s.Pressure; p != nil && p.Some10 >= 1 {
		what = append(what, fmt.Sprintf("work waits for memory %.0f %% of the time", p.Some10))
	}
	names := map[Level]hal.Fault{
		Short:  {Name: "memory_short", Severity: hal.Notice},
		Scarce: {Name: "memory_scarce", Severity: hal.Warn},
		Empty:  {Name: "memory_empty", Severity: hal.Grave},
	}
	f, bad := names[s.Level()]
	if !bad {
		return nil
	}
	f.Text = "memory runs short: " + strings.Join(what, ", ")
	return []hal.Fault{f}
}
