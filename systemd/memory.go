package systemd

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// maxCgroupFile bounds what is read of a file of the kernel's.
const maxCgroupFile = 1 << 16

// MemoryLimit returns how many bytes the control group of this process may use,
// the least of its own limits and those above it; 0 if there is none. proc is
// /proc, cgroups is /sys/fs/cgroup, both of the unified hierarchy: where there
// is another, no limit is found. A limit above which the kernel only slows the
// group down counts too: to live above it is no life.
// File: /proc/self/cgroup, cgroups(7); memory.max and memory.high,
// https://docs.kernel.org/admin-guide/cgroup-v2.html
func MemoryLimit(proc, cgroups fs.FS) (uint64, error) {
	text, err := readShort(proc, "self/cgroup")
	if err != nil {
		return 0, fmt.Errorf("cannot find the control group: %w", err)
	}
	group, ok := parseCgroup(text)
	if !ok {
		return 0, nil
	}
	var least uint64
	for dir := group; ; dir = path.Dir(dir) {
		for _, name := range []string{"memory.max", "memory.high"} {
			text, err := readShort(cgroups, path.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // the root has none
			}
			if err != nil {
				return 0, fmt.Errorf("cannot read the limit of memory: %w", err)
			}
			if n, ok := parseLimit(text); ok && (least == 0 || n < least) {
				least = n
			}
		}
		if dir == "." {
			return least, nil
		}
	}
}

// readShort reads the beginning of a file.
func readShort(from fs.FS, name string) (string, error) {
	f, err := from.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, maxCgroupFile)
	n := 0
	for n < len(buf) {
		m, err := f.Read(buf[n:])
		if n += m; err != nil || m == 0 {
			break // what came before an error decides; most often that is all
		}
	}
	return string(buf[:n]), nil
}

// parseCgroup returns the group of the unified hierarchy, below its root and
// without a slash before it, "." for the root itself.
func parseCgroup(text string) (group string, ok bool) {
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::/")
		if !ok {
			continue
		}
		// A group outside of the process's namespace is shown with dots.
		if name = path.Clean(name); !fs.ValidPath(name) {
			return "", false
		}
		return name, true
	}
	return "", false
}

// parseLimit parses a number of bytes; max is none.
func parseLimit(text string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	return n, err == nil && n > 0
}
