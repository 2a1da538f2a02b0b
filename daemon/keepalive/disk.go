package keepalive

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"camrelay/daemon/durable"
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
	dir     string
	replace func(dir, name string, b []byte) error // durable.Replace
}

func (d *disk) path() string { return filepath.Join(d.dir, fileName) }

// read also clears away what an earlier process has left half written.
func (d *disk) read() ([]byte, error) {
	durable.Clear(d.dir, fileName)
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
	if err := d.replace(d.dir, fileName, b); err != nil {
		return fmt.Errorf("cannot write the state file: %w", err)
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
