// Package tmpfs tells on what a directory lies, and how full that is. It mounts
// nothing.
package tmpfs

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"camrelay/hal"
)

// State is the file system that a directory is on. Sizes are in bytes, 0 if not
// known.
type State struct {
	Dir      string `json:"dir"`
	Mount    string `json:"mount"` // where it is mounted
	Type     string `json:"type"`
	ReadOnly bool   `json:"read_only"`
	Size     int64  `json:"size"`
	Free     int64  `json:"free"`
}

// InMemory tells that writing there does not wear out flash.
func (s State) InMemory() bool { return s.Type == "tmpfs" || s.Type == "ramfs" }

// Read reads on what dir lies. Nothing is known of it if the table of mounts
// cannot be read.
//
// File: /proc/self/mountinfo. Specification: proc_pid_mountinfo(5), statfs(2).
func Read(b *hal.Board, dir string) State {
	s := State{Dir: dir}
	if text, err := b.Proc.Read("self/mountinfo"); err == nil {
		if m, ok := find(parseMounts(text), dir); ok {
			s.Mount, s.Type, s.ReadOnly = m.point, m.kind, m.readOnly
		}
	}
	if b.Live {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err == nil {
			s.Size, s.Free = int64(st.Blocks)*st.Bsize, int64(st.Bavail)*st.Bsize
		}
	}
	return s
}

// mount is one line of the table.
type mount struct {
	point, kind string
	readOnly    bool
}

// find returns the mount that a directory lies on: the last of those that are
// nearest.
func find(all []mount, dir string) (best mount, ok bool) {
	dir = filepath.Clean(dir)
	for _, m := range all {
		below := m.point == "/" || dir == m.point || strings.HasPrefix(dir, m.point+"/")
		if below && len(m.point) >= len(best.point) {
			best, ok = m, true
		}
	}
	return best, ok
}

// parseMounts reads a table; lines that are none are left out.
func parseMounts(b []byte) []mount {
	var all []mount
	for line := range bytes.Lines(b) {
		words := strings.Fields(string(line))
		end := slices.Index(words, "-") // optional fields come before
		if end < 6 || end+2 >= len(words) {
			continue
		}
		point := unescape(words[4])
		if !strings.HasPrefix(point, "/") {
			continue
		}
		options := strings.Split(words[5], ",")
		all = append(all, mount{filepath.Clean(point), words[end+1], slices.Contains(options, "ro")})
	}
	return all
}

// unescape replaces \040 and the like.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, ok := octal(s[i+1 : i+4]); ok {
				out.WriteByte(n)
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func octal(s string) (byte, bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n*8 + int(c-'0')
	}
	return byte(n), n < 256
}

// Judge tells what is wrong: not_in_memory, runtime_read_only, runtime_full. The
// segments may take budget bytes, of which used are in use.
func Judge(s State, budget, used int64) []hal.Fault {
	switch {
	case s.Type == "":
		return nil
	case s.ReadOnly:
		return []hal.Fault{{Name: "runtime_read_only", Severity: hal.Grave, Text: s.Dir + " cannot be written to"}}
	case !s.InMemory():
		return []hal.Fault{{Name: "not_in_memory", Severity: hal.Warn, Text: fmt.Sprintf(
			"%s lies on %s, not in memory: packaging there wears flash out", s.Dir, s.Type)}}
	case s.Size > 0 && s.Free < s.Size/20 && s.Free < budget-used:
		return []hal.Fault{{Name: "runtime_full", Severity: hal.Warn, Text: fmt.Sprintf(
			"%s has %d of %d MiB left, less than hls.budget would take", s.Dir, s.Free>>20, s.Size>>20)}}
	}
	return nil
}
