package selftest

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"camrelay/hal"
	"camrelay/hal/box"
)

// checkBoard says what the box is.
func checkBoard(_ context.Context, r *run) Result {
	b := r.report.Board
	words := []string{cmp.Or(b.Model, "unknown board")}
	if b.SoC != "" {
		words = append(words, b.SoC)
	}
	words = append(words, fmt.Sprintf("%d CPUs", b.CPUs))
	if m := r.report.Memory.Total; m > 0 {
		words = append(words, fmt.Sprintf("%d MiB", m>>20))
	}
	if b.Kernel != "" {
		words = append(words, "Linux "+b.Kernel)
	}
	return result(OK, "%s", strings.Join(words, ", "))
}

// clockFaults are those that checkClock tells.
func ofClock(f hal.Fault) bool { return strings.HasPrefix(f.Name, "clock_") }

func (r *run) faults() []hal.Fault {
	return r.report.Judge(box.Use{Now: r.Now(), Floor: r.Floor})
}

// verdictOf is what a fault means for the box.
func verdictOf(s hal.Severity) Verdict {
	switch s {
	case hal.Grave:
		return Fail
	case hal.Warn:
		return Warn
	case hal.Notice:
	}
	return OK
}

// checkHardware tells what is wrong with heat, power, memory, links and sensors.
func checkHardware(_ context.Context, r *run) Result {
	res := Result{Verdict: OK, Values: make(map[string]float64)}
	var words []string
	for _, f := range r.faults() {
		if ofClock(f) || f.Name == "not_in_memory" || f.Name == "runtime_read_only" {
			continue // told by their own checks
		}
		words = append(words, f.Text)
		if res.Verdict == OK {
			res.Verdict = verdictOf(f.Severity) // the gravest comes first
		}
	}
	for _, z := range r.report.Thermal.Zones {
		if z.Celsius != nil {
			res.Values["celsius_"+z.Name] = *z.Celsius
		}
	}
	if len(words) == 0 {
		up := 0
		for _, l := range r.report.Links {
			if l.Up() {
				up++
			}
		}
		words = append(words, fmt.Sprintf("%d sensors of heat, %d links up, %d watchdogs, %d LEDs",
			len(r.report.Thermal.Zones), up, len(r.report.Watchdogs), len(r.report.LEDs)))
	}
	res.Reason = strings.Join(words, "; ")
	return res
}

// checkClock tells whether the time can be trusted.
func checkClock(_ context.Context, r *run) Result {
	for _, f := range r.faults() {
		switch {
		case f.Name == "clock_wrong":
			return result(Fail, "%s", f.Text)
		case ofClock(f):
			return result(Warn, "%s", f.Text)
		}
	}
	words := r.Now().UTC().Format("2006-01-02 15:04:05 UTC")
	if s := r.report.Clock.Synced; s != nil {
		words += ", kept right by a time server"
	}
	if len(r.report.Clock.RTCs) == 0 {
		words += ", no clock chip: after a power cut it is wrong until a time server answers"
	}
	return result(OK, "%s", words)
}

// checkLibrary tells whether libsrt is safe.
func checkLibrary(_ context.Context, r *run) Result {
	version, err := r.Library()
	switch {
	case err != nil:
		return result(Fail, "%v: it has known holes, install a newer one", err)
	case version == "":
		return result(Skip, "this program was built without SRT")
	}
	return result(OK, "version %s", version)
}

// The least that a box with a few cameras and viewers needs.
const (
	leastFiles    = 4096
	leastWatches  = 1024
	leastPossible = 256 // files: with fewer nothing can be tested
)

// checkLimits tells whether the kernel lets the service do its work.
func checkLimits(_ context.Context, r *run) Result {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return result(Warn, "the limit of open files is not known: %v", err)
	}
	res := result(OK, "%d open files", l.Cur)
	res.Values = map[string]float64{"open_files": float64(l.Cur)}
	var bad []string
	switch {
	case l.Cur < leastPossible:
		return result(Fail, "only %d files may be open, %d are needed: ulimit -n, LimitNOFILE=", l.Cur, leastFiles)
	case l.Max < leastFiles: // Go raises Cur to Max
		bad = append(bad, fmt.Sprintf("only %d files may be open, LimitNOFILE= should be %d", l.Max, leastFiles))
	}
	for _, row := range []struct {
		file  string
		least int64
	}{{"max_user_instances", 16}, {"max_user_watches", leastWatches}} {
		n := r.board.Proc.Int("sys/fs/inotify/" + row.file)
		if n == nil {
			continue // hidden by a sandbox
		}
		res.Values["inotify_"+row.file] = float64(*n)
		if *n < row.least {
			bad = append(bad, fmt.Sprintf("fs.inotify.%s is %d, should be %d", row.file, *n, row.least))
		}
	}
	if len(bad) > 0 {
		res.Verdict, res.Reason = Warn, strings.Join(bad, "; ")
	}
	return res
}
