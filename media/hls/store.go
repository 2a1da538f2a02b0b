package hls

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxVectors is the number of buffers that the kernel takes at once (IOV_MAX).
const maxVectors = 1024

// store is the directory of one stream below the root. Its methods do I/O and
// nothing else; they may be called from any goroutine, except for save.
type store struct {
	root  *os.Root
	dir   string
	form  form     // whose files are ours
	state *os.File // of save
}

// dirOf returns the directory of a stream. Names hold slashes, and no dots.
func dirOf(stream string) string { return strings.ReplaceAll(stream, "/", ".") }

// streamOf is the opposite of dirOf.
func streamOf(dir string) string { return strings.ReplaceAll(dir, ".", "/") }

// numbers is what a session hands on to the next one.
type numbers struct {
	sequence      uint64        // of the next segment
	discontinuity uint64        // of the last segment that was begun
	used          bool          // there has been a segment
	target        int           // EXT-X-TARGETDURATION in seconds, 0 until it is fixed
	part          time.Duration // PART-TARGET, 0 until it is fixed
	segment       time.Duration // Config.Segment, for which target was fixed
	wanted        time.Duration // Config.Part, for which part was fixed
	past          time.Duration // as in Muxer; the files tell another process
}

// stateSize is the fixed size of the state file, so that rewriting it never
// needs space and never leaves half of it.
const stateSize = 122

const stateFormat = "camrelay hls 2 %020d %020d %04d %019d %019d %019d\n"

// create makes a new file for writing, and the directory if it has gone.
func (s *store) create(name string) (*os.File, error) {
	for try := 0; ; try++ {
		f, err := s.root.OpenFile(path.Join(s.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err == nil || try > 0 || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		if err := s.root.MkdirAll(s.dir, 0o750); err != nil {
			return nil, err
		}
	}
}

// open opens a file for reading.
func (s *store) open(name string) (*os.File, error) { return s.root.Open(path.Join(s.dir, name)) }

func (s *store) remove(name string) error { return s.root.Remove(path.Join(s.dir, name)) }

// writeAt writes bufs to f at offset with as few system calls as possible. It
// returns how much was written and what of bufs was not.
func writeAt(f *os.File, bufs [][]byte, offset int64) (written int64, rest [][]byte, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, bufs, err
	}
	for len(bufs) > 0 && err == nil {
		n := 0
		cerr := conn.Control(func(fd uintptr) {
			for {
				n, err = unix.Pwritev(int(fd), bufs[:min(len(bufs), maxVectors)], offset+written)
				if !errors.Is(err, unix.EINTR) {
					return
				}
			}
		})
		if cerr != nil {
			return written, bufs, cerr
		}
		n = max(n, 0)
		written += int64(n)
		bufs = consume(bufs, n)
	}
	return written, bufs, err
}

// consume takes n bytes off the front of bufs.
func consume(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// isFull tells whether err says that the file system has no room.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// load reads the state file; without a sound one everything begins at 0.
func (s *store) load() numbers {
	f, err := s.open(s.form.state())
	if err != nil {
		return numbers{}
	}
	defer f.Close() // it was only read
	var b [stateSize]byte
	n, _ := f.Read(b[:])
	return parseState(b[:n])
}

func parseState(b []byte) numbers {
	n := numbers{used: true}
	_, err := fmt.Sscanf(string(b), stateFormat, &n.sequence, &n.discontinuity, &n.target, &n.part, &n.segment, &n.wanted)
	if err != nil || n.target < 0 || n.part < 0 || n.segment < 0 || n.wanted < 0 {
		return numbers{}
	}
	return n
}

func appendState(b []byte, n numbers) []byte {
	return fmt.Appendf(b, stateFormat, n.sequence, n.discontinuity, n.target, n.part, n.segment, n.wanted)
}

// save rewrites the state file.
func (s *store) save(n numbers) error {
	if s.state == nil {
		f, err := s.root.OpenFile(path.Join(s.dir, s.form.state()), os.O_WRONLY|os.O_CREATE, 0o640)
		if err != nil {
			return err
		}
		s.state = f
	}
	_, err := s.state.WriteAt(appendState(make([]byte, 0, stateSize), n), 0)
	return err
}

// clean removes all segments but those of these names, of whatever session, and
// with all of them the journal.
func (s *store) clean(but map[string]bool) error {
	d, err := s.root.Open(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer d.Close() // it was only read
	names, err := d.Readdirnames(-1)
	for _, name := range names {
		if f, ok := formOf(name); ok && f == s.form && !but[name] {
			err = errors.Join(err, s.remove(name))
		}
	}
	if len(but) == 0 {
		err = errors.Join(err, s.removeJournal())
	}
	return err
}

// suspend leaves everything as it is.
func (s *store) suspend() {
	if s.state != nil {
		s.state.Close() // nothing is buffered
		s.state = nil
	}
}

// close removes the segments; with all also the state and the directory, if
// nothing else is in it.
func (s *store) close(all bool) error {
	s.suspend()
	err := s.clean(nil)
	if !all {
		return err
	}
	if rerr := s.remove(s.form.state()); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if rerr := s.root.Remove(s.dir); !errors.Is(rerr, unix.ENOTEMPTY) && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}
