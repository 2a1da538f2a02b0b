package systemd

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// files makes a tree of one line each, "name: text".
func files(lines ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for _, line := range lines {
		name, text, _ := strings.Cut(line, ": ")
		tree[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return tree
}

func TestMemoryLimit(t *testing.T) {
	const unit = "system.slice/camrelay.service/"
	for _, row := range []struct {
		name    string
		cgroup  string
		cgroups fstest.MapFS
		want    uint64
	}{
		{"the unit's own limit", "0::/system.slice/camrelay.service", files(unit + "memory.max: 1000"), 1000},
		{"a limit above it is less", "0::/system.slice/camrelay.service", files(
			unit+"memory.max: 1000", "system.slice/memory.max: 900"), 900},
		{"where it is slowed down is less", "0::/system.slice/camrelay.service", files(
			unit+"memory.max: 1000", unit+"memory.high: 800"), 800},
		{"there is no limit", "0::/system.slice/camrelay.service", files(unit + "memory.max: max"), 0},
		{"what is no number is none", "0::/system.slice/camrelay.service", files(unit + "memory.max: much"), 0},
		{"a process in the root", "0::/", files("memory.max: 700"), 700},
		{"the old hierarchy beside the unified one", "3:memory:/x\n0::/x", files("x/memory.max: 5"), 5},
		{"the old hierarchy alone", "3:memory:/x\n", files("x/memory.max: 5"), 0},
		{"a group outside of the namespace", "0::/../x", files("x/memory.max: 5"), 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := MemoryLimit(fstest.MapFS{"self/cgroup": {Data: []byte(row.cgroup + "\n")}}, row.cgroups)
			if err != nil || got != row.want {
				t.Errorf("%d, %v, want %d", got, err, row.want)
			}
		})
	}
	if _, err := MemoryLimit(fstest.MapFS{}, fstest.MapFS{}); err == nil {
		t.Error("without /proc it is no error")
	}
}

func FuzzMemoryLimit(f *testing.F) {
	f.Add("0::/system.slice/camrelay.service\n", "1073741824\n")
	f.Add("0::/../..\n", "max\n")
	f.Add("0::/\x00\n", "-1\n")
	f.Fuzz(func(t *testing.T, cgroup, limit string) {
		if group, ok := parseCgroup(cgroup); ok && !fs.ValidPath(group) {
			t.Errorf("%q is no path", group)
		}
		if n, ok := parseLimit(limit); ok && n == 0 {
			t.Error("a limit of nothing")
		}
	})
}
