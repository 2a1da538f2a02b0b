//go:build cgo

package srt

import (
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// rest makes libsrt's receiving thread wake up once a second while nobody is
// connected, instead of a hundred times: that is what the system tells it to
// wait for a datagram. A datagram wakes it at once.
//
// Without the socket, which is zero, everything works and costs 3 ms of CPU per
// second.
type rest struct {
	socket int           // our own descriptor of libsrt's socket
	awake  *unix.Timeval // what libsrt has set
}

// newRest finds the UDP socket that libsrt has bound to an address.
func newRest(addr netip.AddrPort) rest {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return rest{}
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil || !boundTo(fd, addr) {
			continue
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			continue
		}
		awake, err := unix.GetsockoptTimeval(own, unix.SOL_SOCKET, unix.SO_RCVTIMEO)
		if err == nil && boundTo(own, addr) { // fd may have become another file meanwhile
			return rest{own, awake}
		}
		unix.Close(own)
	}
	return rest{}
}

func boundTo(fd int, addr netip.AddrPort) bool {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_DGRAM {
		return false
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return addr == netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return addr == netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return false
}

// begin lets the thread rest, end wakes it up for as long as there are
// connections: libsrt's timers depend on it. What fails costs CPU only, or is
// the socket's end.
func (r rest) begin() { r.wait(&unix.Timeval{Sec: 1}) }
func (r rest) end()   { r.wait(r.awake) }

func (r rest) wait(t *unix.Timeval) {
	if r.socket > 0 {
		_ = unix.SetsockoptTimeval(r.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, t)
	}
}

// close gives the descriptor back. It is called once nobody uses r any more.
func (r rest) close() {
	if r.socket > 0 {
		unix.Close(r.socket)
	}
}
