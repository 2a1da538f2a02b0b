package durable

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// The tests replay power cuts. A model of a disk notes what a cut at each moment
// may leave: a file that was not synced holds anything up to its text, and of
// the changes of the directory since its last sync any number from the first on
// has happened.

// content is a file: what was written, and what of it is sure to be there.
type content struct{ written, synced []byte }

// entries are the names in a directory.
type entries map[string]*content

// model is a disk that can lose its power.
type model struct {
	entries
	lasting entries   // as of the last sync
	pending []entries // after each change since
	fail    error     // of the next operation but left
	left    int
	cut     func(m *model) // called after each operation
}

func newModel(files map[string]string) *model {
	m := &model{entries: make(entries), left: -1}
	for name, text := range files {
		m.entries[name] = &content{[]byte(text), []byte(text)}
	}
	m.lasting = maps.Clone(m.entries)
	return m
}

// op enters one operation.
func (m *model) op(do func()) error {
	if m.left == 0 {
		return m.fail
	}
	m.left--
	do()
	if m.cut != nil {
		m.cut(m)
	}
	return nil
}

func (m *model) create(name string) (file, error) {
	f := &content{}
	err := m.op(func() {
		m.entries[name] = f
		m.pending = append(m.pending, maps.Clone(m.entries))
	})
	return &modelFile{m, f}, err
}

func (m *model) rename(from, to string) error {
	return m.op(func() {
		m.entries[to] = m.entries[from]
		delete(m.entries, from)
		m.pending = append(m.pending, maps.Clone(m.entries))
	})
}

func (m *model) remove(name string) error {
	return m.op(func() {
		delete(m.entries, name)
		m.pending = append(m.pending, maps.Clone(m.entries))
	})
}

func (m *model) sync() error {
	return m.op(func() { m.lasting, m.pending = maps.Clone(m.entries), nil })
}

type modelFile struct {
	m *model
	c *content
}

func (f *modelFile) Write(b []byte) (int, error) {
	half := len(b) / 2
	for _, part := range [][]byte{b[:half], b[half:]} {
		if err := f.m.op(func() { f.c.written = append(slices.Clip(f.c.written), part...) }); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (f *modelFile) Sync() error { return f.m.op(func() { f.c.synced = f.c.written }) }

func (f *modelFile) Close() error { return nil }

// after yields every directory that a cut may leave now.
func (m *model) after(yield func(map[string]string)) {
	for _, names := range append([]entries{m.lasting}, m.pending...) {
		for _, loses := range []func(c *content) []byte{
			func(c *content) []byte { return c.written },
			func(c *content) []byte { return c.synced },
			func(c *content) []byte { return c.written[:len(c.synced)+(len(c.written)-len(c.synced))/2] },
			func(c *content) []byte {
				return append(slices.Clip(c.synced), make([]byte, len(c.written)-len(c.synced))...)
			},
		} {
			files := make(map[string]string)
			for name, c := range names {
				files[name] = string(loses(c))
			}
			yield(files)
		}
	}
}

// TestPowerCuts cuts the power after every operation of a replacement, the
// first one and one over a file that is there, and also over what a cut before
// has left.
func TestPowerCuts(t *testing.T) {
	states := 0
	for name, before := range map[string]map[string]string{
		"the first":            {},
		"one after another":    {"f": "the one before"},
		"what a cut has left":  {"f": "the one before", "f.tmp": "half of an even"},
		"the first after that": {"f.tmp": ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(before)
			operations := 0
			m.cut = func(m *model) {
				operations++
				m.after(func(files map[string]string) {
					states++
					got, there := files["f"]
					if old, was := before["f"]; got != "the new one" && (there != was || got != old) {
						t.Errorf("a cut after operation %d leaves %q", operations, files)
					}
				})
			}
			if err := replace(m, "f", []byte("the new one")); err != nil {
				t.Fatal(err)
			}
			m.after(func(files map[string]string) {
				if files["f"] != "the new one" {
					t.Errorf("a cut when it has returned leaves %q", files)
				}
			})
		})
	}
	if states < 100 {
		t.Errorf("only %d cuts", states)
	}
}

// TestFailures lets each operation fail, as on a full or read-only disk.
func TestFailures(t *testing.T) {
	full := errors.New("no space left on device")
	for n := range 6 {
		m := newModel(map[string]string{"f": "the one before"})
		m.fail, m.left = full, n
		if err := replace(m, "f", []byte("the new one")); !errors.Is(err, full) {
			t.Errorf("operation %d fails, and it returns %v", n, err)
		}
		if got := string(m.entries["f"].written); n < 5 && got != "the one before" {
			t.Errorf("operation %d fails, and it has become %q", n, got)
		}
	}
}

// small is a directory on a disk that has room for so many bytes.
type small struct {
	directory
	room int
}

func (s small) create(name string) (file, error) {
	f, err := s.directory.create(name)
	return smallFile{f, s.room}, err
}

type smallFile struct {
	file
	room int
}

func (f smallFile) Write(b []byte) (int, error) {
	if len(b) <= f.room {
		return f.file.Write(b)
	}
	n, err := f.file.Write(b[:f.room])
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestAFullDisk writes as much as there is room for: what was there stays, and
// the rest of the room is given back.
func TestAFullDisk(t *testing.T) {
	for _, room := range []int{0, 1, 100} {
		dir := t.TempDir()
		if err := Replace(dir, "f", []byte("the one before")); err != nil {
			t.Fatal(err)
		}
		if err := replace(small{directory(dir), room}, "f", make([]byte, 200)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes left: %v", room, err)
		}
		all, err := os.ReadDir(dir)
		if err != nil || len(all) != 1 {
			t.Errorf("%d bytes left: there is %v, %v", room, all, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != "the one before" {
			t.Errorf("%d bytes left: it has become %q, %v", room, got, err)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "here")
	for i := range 3 {
		want := bytes.Repeat(fmt.Append(nil, i), 1000*(3-i))
		if err := Replace(dir, "f", want); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "f"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left: %v, %v", all, err)
	}
}

// TestARenameThatFails leaves nothing of what was written: in the place of the file
// there is a directory.
func TestARenameThatFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "f"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(dir, "f", []byte("the new one")); err == nil {
		t.Error("no error")
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("left: %v, %v", all, err)
	}
}
