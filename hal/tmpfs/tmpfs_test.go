package tmpfs

import (
	"path"
	"strings"
	"testing"
)

const table = `22 27 0:21 / /proc rw,relatime shared:12 - proc proc rw
27 1 179:2 / / ro,noatime - ext4 /dev/root ro
26 27 0:24 / /run rw,nosuid shared:5 master:3 - tmpfs tmpfs rw,size=788924k
58 27 0:44 / /run/with\040space rw - ext4 /dev/sda1 rw
59 27 0:44 / /run/camrelay rw - ext4 /dev/sda1 rw
60 27 0:45 / /run/camrelay rw - tmpfs tmpfs rw
garbage
61 27 0:45 / relative rw - tmpfs tmpfs rw
`

func TestFind(t *testing.T) {
	for dir, want := range map[string]mount{
		"/run/camrelay/hls":  {"/run/camrelay", "tmpfs", false}, // mounted over another
		"/run/camrelay2":     {"/run", "tmpfs", false},
		"/run":               {"/run", "tmpfs", false},
		"/run/with space/x/": {"/run/with space", "ext4", false},
		"/var/lib":           {"/", "ext4", true},
	} {
		if got, ok := find(parseMounts([]byte(table)), dir); !ok || got != want {
			t.Errorf("%s: %+v, %v", dir, got, ok)
		}
	}
	if got, ok := find(nil, "/"); ok {
		t.Errorf("without mounts: %+v", got)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte("1 2 3 4 \\057\\ 6 -"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range parseMounts(b) {
			if !path.IsAbs(m.point) || m.kind == "" || path.Clean(m.point) != m.point {
				t.Errorf("%q: %+v", b, m)
			}
		}
	})
}

func TestJudge(t *testing.T) {
	const mib = 1 << 20
	for _, row := range []struct {
		name         string
		s            State
		budget, used int64
		want         string
	}{
		{"nothing is known", State{}, 256 * mib, 0, ""},
		{"there is room", State{Type: "tmpfs", Size: 500 * mib, Free: 400 * mib}, 256 * mib, 0, ""},
		{"segments fill it as they may", State{Type: "tmpfs", Size: 256 * mib, Free: mib}, 256 * mib, 255 * mib, ""},
		{"others fill it", State{Type: "tmpfs", Size: 256 * mib, Free: mib}, 256 * mib, 10 * mib, "runtime_full"},
		{"it is a disk", State{Type: "ext4", Size: 500 * mib, Free: 400 * mib}, 0, 0, "not_in_memory"},
		{"it cannot be written to", State{Type: "ext4", ReadOnly: true}, 0, 0, "runtime_read_only"},
	} {
		var got strings.Builder
		for _, f := range Judge(row.s, row.budget, row.used) {
			got.WriteString(f.Name)
		}
		if got.String() != row.want {
			t.Errorf("%s: %q, want %q", row.name, got.String(), row.want)
		}
	}
}
