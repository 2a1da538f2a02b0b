package rtspd

import (
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// rearm is the part of the write timeout after which the deadline is moved:
	// once per write would cost a timer each.
	rearm = 8
	// chunk is the most that one write hands to the kernel, so that a deadline
	// means no progress rather than a large group of pictures.
	chunk = 256 << 10
	// unsent bounds what waits in the kernel behind what is on its way. Without
	// it a viewer on a slow line would be several MB behind before it is
	// noticed, and for ever.
	unsent = 256 << 10
)

// wire is a connection that gortsplib's messages and our media share; its
// deadlines are ours alone.
type wire struct {
	net.Conn // TCP, or TLS over it

	tcp     *net.TCPConn // below it
	timeout time.Duration

	mu     sync.Mutex // guards writing, so that frames stay whole, and what follows
	armed  time.Time  // when the deadline was set
	vector net.Buffers
	joined []byte // what TLS takes in one piece
	after  func() // called once the next message has left
}

func newWire(tcp *net.TCPConn, timeout time.Duration) *wire {
	return &wire{Conn: tcp, tcp: tcp, timeout: timeout}
}

// secure tells whether it is encrypted.
func (w *wire) secure() bool { return w.Conn != net.Conn(w.tcp) }

// Write sends a message of gortsplib's.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.arm(time.Now())
	n, err := w.Conn.Write(b)
	after := w.after
	w.after = nil
	w.mu.Unlock()
	if after != nil && err == nil {
		after()
	}
	return n, err
}

// afterResponse has f called when the message that is about to be written is
// with the kernel.
func (w *wire) afterResponse(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after = f
}

// writeMedia sends frames with as few system calls as possible. It overwrites bufs.
func (w *wire) writeMedia(bufs net.Buffers, now time.Time) (n int64, err error) {
	for len(bufs) > 0 && err == nil {
		part, size := bufs, 0
		for i, b := range bufs {
			if size += len(b); size >= chunk {
				part = bufs[:i+1]
				break
			}
		}
		bufs = bufs[len(part):]
		m, e := w.writePart(part, now)
		n, err = n+m, e
		if len(bufs) > 0 {
			now = time.Now()
		}
	}
	return n, err
}

func (w *wire) writePart(part net.Buffers, now time.Time) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm(now)
	switch {
	case len(part) == 1:
		n, err := w.Conn.Write(part[0])
		return int64(n), err
	case w.secure(): // each write makes a record of its own
		w.joined = w.joined[:0]
		for _, b := range part {
			w.joined = append(w.joined, b...)
		}
		n, err := w.Conn.Write(w.joined)
		return int64(n), err
	}
	w.vector = part // a local would be allocated for each call
	return w.vector.WriteTo(w.tcp)
}

// arm moves the write deadline. mu is held.
func (w *wire) arm(now time.Time) {
	if now.Sub(w.armed) < w.timeout/rearm {
		return
	}
	w.armed = now
	// It fails only on a closed connection, which the write will tell.
	_ = w.tcp.SetWriteDeadline(now.Add(w.timeout))
}

// closeWrite tells the other side that nothing more comes.
func (w *wire) closeWrite() {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails only if the other side was faster
	}
}

// The library's deadlines would undo ours.

func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) limitUnsent() {
	raw, err := w.tcp.SyscallConn()
	if err != nil {
		return
	}
	// Without it slow viewers only lag further behind.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
