package keepalive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// fileName is the name of the state file.
const fileName = "keepalives.json"

// store keeps the bytes of the state.
type store interface {
	read() ([]byte, error)              // fs.ErrNotExist if there are none
	write(b []byte) error               // all or nothing, and durable
	setAside(mark string) (name string) // the bytes that read has found
}

// disk is the store in a directory.
type disk struct {
	dir string
	via func(io.Writer) io.Writer // nil: bytes are written as they are
}

func (d *disk) path() string { return filepath.Join(d.dir, fileName) }

// read also clears away what an earlier process has left half written.
func (d *disk) read() ([]byte, error) {
	names, _ := os.ReadDir(d.dir) // what cannot be listed cannot be opened, or is in nobody's way
	for _, e := range names {
		if strings.HasPrefix(e.Name(), "."+fileName) {
			_ = os.Remove(filepath.Join(d.dir, e.Name()))
		}
	}
	f, err := os.Open(d.path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// write replaces the file in one step, and returns once a power cut would not
// bring back the one before.
func (d *disk) write(b []byte) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the state directory: %w", err)
	}
	f, err := renameio.NewPendingFile(d.path(), renameio.WithTempDir(d.dir), renameio.WithPermissions(0o600))
	if err != nil {
		return fmt.Errorf("cannot write the state file: %w", err)
	}
	defer f.Cleanup() //nolint:errcheck // the next start clears away what is left
	var w io.Writer = f
	if d.via != nil {
		w = d.via(f)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("cannot write the state file: %w", err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("cannot replace the state file: %w", err)
	}
	return d.sync()
}

// sync makes the renaming durable, where the file system can.
func (d *disk) sync() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return fmt.Errorf("cannot open the state directory: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("cannot write the state directory: %w", err)
	}
	return nil
}

// setAside keeps the last one of a kind, for people to look at.
func (d *disk) setAside(mark string) (name string) {
	name = d.path() + "." + mark
	if err := os.Rename(d.path(), name); err != nil {
		return ""
	}
	return name
}
