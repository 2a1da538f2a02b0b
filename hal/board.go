package hal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Board is the box, as its kernel shows it.
type Board struct {
	Sys, Proc, Dev, Run *Tree
	// Live tells that this is the box that the process runs on, so that its kernel
	// may be asked by system calls, too.
	Live bool
}

// Open opens the board below dir, which is "/" for this one and a fixture
// otherwise. A tree that is not there is empty.
func Open(dir string) (*Board, error) {
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("cannot open the board: %s is no directory", dir)
	}
	b := &Board{Live: filepath.Clean(dir) == "/"}
	for _, t := range []struct {
		tree **Tree
		name string
	}{{&b.Sys, "sys"}, {&b.Proc, "proc"}, {&b.Dev, "dev"}, {&b.Run, "run"}} {
		root, err := os.OpenRoot(filepath.Join(dir, t.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("cannot open /%s of the board: %w", t.name, err), b.Close())
		}
		*t.tree = newTree(t.name, root)
	}
	return b, nil
}

func (b *Board) trees() []*Tree { return []*Tree{b.Sys, b.Proc, b.Dev, b.Run} }

// SetPatience sets how long one read may take; the default is half a second.
func (b *Board) SetPatience(d time.Duration) {
	for _, t := range b.trees() {
		t.patience = d
	}
}

// Hung returns the files whose read has not come back yet, sorted.
func (b *Board) Hung() []string {
	var all []string
	for _, t := range b.trees() {
		for _, name := range t.hung() {
			all = append(all, path.Join("/", t.name, name))
		}
	}
	slices.Sort(all)
	return all
}

// Close closes the board. Reads that hang go on hanging.
func (b *Board) Close() error {
	var all []error
	for _, t := range b.trees() {
		if t != nil && t.root != nil {
			all = append(all, t.root.Close())
		}
	}
	return errors.Join(all...)
}

// maxFile bounds what is read of one file in bytes: attributes have a page at most,
// tables of the kernel a few.
const maxFile = 256 << 10

// read reads a file without the runtime's poller: attributes of sysfs look as if
// they could be polled, and a driver that answers EAGAIN would be asked without end.
func read(f *os.File) ([]byte, error) {
	return io.ReadAll(io.LimitReader(blocking{int(f.Fd())}, maxFile))
}
