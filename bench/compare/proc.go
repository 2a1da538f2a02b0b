package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// cost is what a group of processes has used.
type cost struct {
	ms  float64 // CPU milliseconds, user and system, per stream-second
	mib float64 // resident, summed over the processes
}

// ticksPerSecond is USER_HZ, which Linux has fixed at 100 for /proc.
const ticksPerSecond = 100

// measure takes the CPU of each group over the same window.
func measure(ctx context.Context, window time.Duration, streamSeconds float64, groups ...[]*exec.Cmd) ([]cost, error) {
	before := make([]float64, len(groups))
	for i, g := range groups {
		var err error
		if before[i], err = cpuSeconds(g); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, window); err != nil {
		return nil, err
	}
	costs := make([]cost, len(groups))
	for i, g := range groups {
		after, err := cpuSeconds(g)
		if err != nil {
			return nil, err
		}
		costs[i] = cost{ms: 1000 * (after - before[i]) / streamSeconds, mib: residentMiB(g)}
	}
	return costs, nil
}

// cpuSeconds sums user and system time. File: /proc/PID/stat, fields 14 and 15
// in clock ticks; https://man7.org/linux/man-pages/man5/proc.5.html
func cpuSeconds(cmds []*exec.Cmd) (float64, error) {
	sum := 0.0
	for _, c := range cmds {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
		if err != nil {
			return 0, fmt.Errorf("%s has ended: %w", c.Path, err)
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if len(f) < 13 || f[0] == "Z" {
			return 0, fmt.Errorf("%s has ended", c.Path)
		}
		for _, s := range f[11:13] {
			n, err := strconv.Atoi(s)
			if err != nil {
				return 0, err
			}
			sum += float64(n) / ticksPerSecond
		}
	}
	return sum, nil
}

// residentMiB sums VmRSS. File: /proc/PID/status, KiB.
func residentMiB(cmds []*exec.Cmd) float64 {
	sum := 0.0
	for _, c := range cmds {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), "VmRSS:")
		f := strings.Fields(rest)
		if len(f) == 0 {
			continue
		}
		if kib, err := strconv.ParseFloat(f[0], 64); err == nil {
			sum += kib / 1024
		}
	}
	return sum
}
