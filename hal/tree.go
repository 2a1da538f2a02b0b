package hal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// ErrHung is a file whose read or write does not come back.
var ErrHung = errors.New("the kernel does not answer")

const (
	defaultPatience = 500 * time.Millisecond
	maxHung         = 16 // threads that may be left behind in one tree
)

// Tree is one of the kernel's file systems. Names are relative to it, with
// slashes. Symbolic links are followed as long as they stay inside.
type Tree struct {
	name     string
	root     *os.Root // nil: there is none
	patience time.Duration

	mu   sync.Mutex          // guards busy
	busy map[string]struct{} // files that are being read or written
}

func newTree(name string, root *os.Root) *Tree {
	return &Tree{name: name, root: root, patience: defaultPatience, busy: make(map[string]struct{})}
}

func (t *Tree) hung() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.busy))
}

// within does something with a file, or gives it up after a while. What has been
// given up is not begun again until it has come back; late, if it is not nil, gets
// what comes then.
func within[T any](t *Tree, name string, do func(*os.Root) (T, error), late func(T)) (T, error) {
	var none T
	if t.root == nil {
		return none, fs.ErrNotExist
	}
	t.mu.Lock()
	_, busy := t.busy[name]
	if busy || len(t.busy) >= maxHung {
		t.mu.Unlock()
		return none, fmt.Errorf("cannot use /%s/%s: %w", t.name, name, ErrHung)
	}
	t.busy[name] = struct{}{}
	t.mu.Unlock()
	type result struct {
		value T
		err   error
	}
	done, gone := make(chan result), make(chan struct{})
	go func() {
		v, err := do(t.root)
		t.mu.Lock()
		delete(t.busy, name)
		t.mu.Unlock()
		select {
		case done <- result{v, err}:
		case <-gone:
			if err == nil && late != nil {
				late(v)
			}
		}
	}()
	limit := time.NewTimer(t.patience)
	defer limit.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-limit.C:
		close(gone)
		return none, fmt.Errorf("cannot use /%s/%s: %w", t.name, name, ErrHung)
	}
}

// Read returns what is in a file, at most 256 KiB.
func (t *Tree) Read(name string) ([]byte, error) {
	return within(t, name, func(root *os.Root) ([]byte, error) {
		f, err := root.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return read(f)
	}, nil)
}

// Write writes an attribute in one call.
func (t *Tree) Write(name, text string) error {
	_, err := within(t, name, func(root *os.Root) (struct{}, error) {
		f, err := root.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return struct{}{}, err
		}
		defer f.Close()
		_, err = unix.Write(int(f.Fd()), []byte(text))
		return struct{}{}, err
	}, nil)
	return err
}

// OpenFile opens a device. late closes one that opens when nobody waits for it any
// more; it may be called from any goroutine.
func (t *Tree) OpenFile(name string, flag int, late func(*os.File)) (*os.File, error) {
	return within(t, name, func(root *os.Root) (*os.File, error) { return root.OpenFile(name, flag, 0) }, late)
}

// List returns the names in a directory in natural order (hwmon2 before hwmon10),
// none if it is not there.
func (t *Tree) List(dir string) []string {
	names, err := within(t, dir, func(root *os.Root) ([]string, error) {
		f, err := root.Open(dir)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return f.Readdirnames(1024)
	}, nil)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	slices.SortFunc(names, natural)
	return names
}

// natural orders names with a number at their end by it.
func natural(a, b string) int {
	head := func(s string) (string, int) {
		h := strings.TrimRight(s, "0123456789")
		n, err := strconv.Atoi(s[len(h):])
		if err != nil {
			return s, -1
		}
		return h, n
	}
	ha, na := head(a)
	hb, nb := head(b)
	if c := strings.Compare(ha, hb); c != 0 {
		return c
	}
	return na - nb
}

// Line returns the first line of a file for people, "" if it cannot be read.
func (t *Tree) Line(name string) string {
	b, err := t.Read(name)
	if err != nil {
		return ""
	}
	return Line(b)
}

// Int returns the number in a file, nil if there is none.
func (t *Tree) Int(name string) *int64 {
	b, err := t.Read(name)
	if err != nil {
		return nil
	}
	return Int(b)
}

// Milli returns a thousandth of the number in a file: sensors count in thousandths.
func (t *Tree) Milli(name string) *float64 {
	n := t.Int(name)
	if n == nil {
		return nil
	}
	return new(float64(*n) / 1000)
}

const maxLine = 128 // bytes

// Line returns the first line of b without what cannot be shown, cut to 128 bytes.
// Firmware ends strings with NUL.
func Line(b []byte) string {
	first, _, _ := strings.Cut(strings.TrimLeft(string(b), "\n"), "\n")
	first, _, _ = strings.Cut(first, "\x00")
	first = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(first, "")))
	if len(first) > maxLine {
		first = strings.TrimSpace(strings.ToValidUTF8(first[:maxLine], ""))
	}
	return first
}

// Int returns the decimal number that b is, nil if it is none.
func Int(b []byte) *int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// blocking reads a file descriptor.
type blocking struct{ fd int }

// Read implements io.Reader.
func (r blocking) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(r.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
