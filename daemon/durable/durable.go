// Package durable replaces files so that a power cut at any moment leaves the
// one before or the new one, whole, and so that the new one stays once Replace
// has returned. It knows nothing of what they hold. Different files may be
// replaced from different goroutines, one file from one at a time.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a directory in which files are replaced.
type disk interface {
	create(name string) (file, error) // mode 0600; one that is there is emptied
	rename(from, to string) error
	remove(name string) error
	sync() error // makes creating and renaming last
}

// file is one that is being written.
type file interface {
	io.WriteCloser
	Sync() error
}

// suffix marks a file that is not whole yet.
const suffix = ".tmp"

// Replace writes data to the file name in dir, which is made if it is not
// there. Only the user of this process can read it. A file of before is not
// touched unless all has been written; what was not written whole takes no room.
func Replace(dir, name string, data []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return replace(directory(dir), name, data)
}

// Clear removes what a process has left that was killed in Replace. The next
// Replace of that file would too.
func Clear(dir, name string) { _ = directory(dir).remove(name + suffix) } // mostly there is nothing

func replace(d disk, name string, data []byte) error {
	f, err := d.create(name + suffix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync() // else the name may last and the text not
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = d.remove(name + suffix) // the next one empties it otherwise
		return err
	}
	if err := d.rename(name+suffix, name); err != nil {
		_ = d.remove(name + suffix) // as above
		return err
	}
	if err := d.sync(); err != nil {
		return fmt.Errorf("cannot sync the directory: %w", err)
	}
	return nil
}

// directory is a disk that is one.
type directory string

func (d directory) create(name string) (file, error) {
	return os.OpenFile(filepath.Join(string(d), name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
}

func (d directory) rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d directory) remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d directory) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	// Not every file system can.
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
