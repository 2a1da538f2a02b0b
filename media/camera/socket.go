package camera

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hoard is how many bytes a socket may gather before it wakes anybody, while
// it is read at the beat: more than a beat of the largest key frame.
const hoard = 1 << 20

// socket is a TCP connection that can be read in two ways: as usual, or
// hoarding, when nobody is woken by what arrives and a read returns at once.
//
// SO_RCVLOWAT does both: the kernel does not report the socket readable below
// it, and makes the receive buffer large enough for it without switching its
// own tuning off. Without it the runtime's poller wakes up for every segment,
// whether anybody reads or not.
type socket struct {
	*net.TCPConn
	raw     syscall.RawConn
	hoards  bool
	p       []byte // of the read under way
	n       int
	err     error
	receive func(fd uintptr) bool
}

func newSocket(c *net.TCPConn) (*socket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot reach the socket: %w", err)
	}
	s := &socket{TCPConn: c, raw: raw}
	s.receive = func(fd uintptr) bool {
		for {
			s.n, s.err = unix.Read(int(fd), s.p)
			if !errors.Is(s.err, unix.EINTR) {
				return true
			}
		}
	}
	return s, nil
}

// hoard switches between the two ways of reading. Where the kernel refuses,
// more wake-ups are all that happens.
func (s *socket) hoard(on bool) {
	if s.hoards == on {
		return
	}
	s.hoards = on
	low := 1
	if on {
		low = hoard
	}
	_ = s.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, low)
	})
}

// nothing is what a hoarding socket returns when it holds nothing. crypto/tls
// goes on after such an error.
type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Read waits for data, or, while hoarding, returns what is there or nothing{}.
func (s *socket) Read(p []byte) (int, error) {
	if !s.hoards {
		return s.TCPConn.Read(p)
	}
	s.p = p
	err := s.raw.Read(s.receive)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(s.err, unix.EAGAIN):
		return 0, nothing{}
	case s.err != nil:
		return 0, os.NewSyscallError("read", s.err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// interrupt makes a Read that waits return, and all after it, until resume.
func (s *socket) interrupt() { _ = s.SetReadDeadline(time.Unix(1, 0)) }

// resume allows Read again, for so long.
func (s *socket) resume(d time.Duration) { _ = s.SetReadDeadline(time.Now().Add(d)) }
