package watch

import (
	"fmt"
	"os"
)

// mountTable is where the kernel lists the mounts that the process sees.
// File: /proc/self/mountinfo, proc_pid_mountinfo(5)
const mountTable = "/proc/self/mountinfo"

// mounts is a watch on the table of mounts: what is mounted over a directory or a
// file changes what is read there, and no watch on a directory tells of it.
type mounts struct {
	file  *os.File
	ended chan struct{} // closed once nothing is told any more
}

// watchMounts calls changed, on a goroutine of its own, after each change of the
// table until close, and once at the beginning.
func watchMounts(changed func()) (*mounts, error) {
	f, err := os.Open(mountTable)
	if err != nil {
		return nil, fmt.Errorf("cannot open the table of mounts: %w", err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close() // it was never read
		return nil, fmt.Errorf("cannot watch the table of mounts: %w", err)
	}
	m := &mounts{file: f, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		// The kernel marks the file each time the table changes. To Read that is as
		// if there were something to read; one call sees all of them, several calls
		// miss those between. Its error is that the file is closed.
		_ = raw.Read(func(uintptr) (done bool) {
			changed()
			return false
		})
	}()
	return m, nil
}

// close returns once changed is not called any more.
func (m *mounts) close() {
	_ = m.file.Close() // it was only read
	<-m.ended
}
