package rtspd

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptPause is how long the listener waits when the system has no
	// resources for another connection.
	acceptPause = 100 * time.Millisecond
	// requestTimeout closes a connection that neither plays nor completes a request.
	requestTimeout = 30 * time.Second
	// pausedTimeout is requestTimeout for a session that exists but does not
	// play: a little more than the 60 s that the library announces.
	pausedTimeout = 65 * time.Second
	// lingerTimeout is how long a client may take to close after its session has ended.
	lingerTimeout = 2 * time.Second
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

// listener limits connections and wraps them.
type listener struct {
	*net.TCPListener
	counts      *counts
	max, maxOne int
	timeout     time.Duration
	closed      chan struct{} // closed by Close
	once        sync.Once     // closes closed

	mu    sync.Mutex // guards what follows
	total int
	from  map[netip.Addr]int
}

func newListener(l *net.TCPListener, cfg Config, n *counts) *listener {
	return &listener{
		TCPListener: l, counts: n, max: cfg.MaxConns, maxOne: cfg.MaxConnsFrom, timeout: cfg.WriteTimeout,
		closed: make(chan struct{}), from: make(map[netip.Addr]int),
	}
}

// Accept returns the next connection within the limits. gortsplib gives up at
// its first error, so only the end of the listener is one: a lack of file
// descriptors passes.
func (l *listener) Accept() (net.Conn, error) {
	for {
		tc, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-l.closed:
				pause.Stop()
			}
			continue
		}
		if c := l.admit(tc); c != nil {
			return c, nil
		}
		l.counts.refused.Add(1)
		tc.Close()
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// admit wraps tc, or returns nil if it is one too many.
func (l *listener) admit(tc *net.TCPConn) *conn {
	addr := tc.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if !l.enter(addr) {
		return nil
	}
	c := &conn{TCPConn: tc, timeout: l.timeout, release: sync.OnceFunc(func() { l.leave(addr) })}
	c.limitUnsent()
	c.idle(requestTimeout)
	return c
}

// enter counts a connection from addr, if there is room for it.
func (l *listener) enter(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.max || !addr.IsLoopback() && l.from[addr] >= l.maxOne {
		return false
	}
	l.total++
	l.from[addr]++
	return true
}

func (l *listener) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.from[addr]--; l.from[addr] == 0 {
		delete(l.from, addr)
	}
}

// conn is a control connection, and the way of media for a viewer over TCP.
// gortsplib reads from it and writes its responses to it; its deadlines are
// ours alone.
type conn struct {
	*net.TCPConn
	release func()
	timeout time.Duration // of writes
	in      inbound       // belongs to the reading goroutine
	lost    atomic.Value  // of error: why nothing more could be read

	mu     sync.Mutex // guards writing, so that frames stay whole, and what follows
	armed  time.Time  // when the deadline was set
	vector net.Buffers
	after  func() // called once the next response has left
}

// Read returns requests only.
func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.TCPConn.Read(b)
		if err != nil && !errors.Is(err, net.ErrClosed) {
			c.lost.CompareAndSwap(nil, lostError{err})
		}
		if n = c.in.requests(b[:n]); n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// lostError lets an atomic.Value hold errors of any type.
type lostError struct{ error }

// why says why the connection has ended if we have not closed it: gortsplib
// closes it when it can make nothing of a request.
func (c *conn) why() error {
	lost, ok := c.lost.Load().(lostError)
	switch {
	case !ok:
		return errGarbage
	case errors.Is(lost, os.ErrDeadlineExceeded):
		return errTimeout
	}
	return errClosed
}

// Write sends a response of gortsplib's.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.arm(time.Now())
	n, err := c.TCPConn.Write(b)
	after := c.after
	c.after = nil
	c.mu.Unlock()
	if after != nil && err == nil {
		after()
	}
	return n, err
}

// afterResponse has f called when the response that is about to be written is
// with the kernel.
func (c *conn) afterResponse(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = f
}

// writeMedia sends frames with as few system calls as possible. It overwrites bufs.
func (c *conn) writeMedia(bufs net.Buffers, now time.Time) (n int64, err error) {
	for len(bufs) > 0 && err == nil {
		part, size := bufs, 0
		for i, b := range bufs {
			if size += len(b); size >= chunk {
				part = bufs[:i+1]
				break
			}
		}
		bufs = bufs[len(part):]
		m, e := c.writePart(part, now)
		n, err = n+m, e
		if len(bufs) > 0 {
			now = time.Now()
		}
	}
	return n, err
}

func (c *conn) writePart(part net.Buffers, now time.Time) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arm(now)
	if len(part) == 1 {
		n, err := c.TCPConn.Write(part[0])
		return int64(n), err
	}
	c.vector = part // a local would be allocated for each call
	return c.vector.WriteTo(c.TCPConn)
}

// arm moves the write deadline. mu is held.
func (c *conn) arm(now time.Time) {
	if now.Sub(c.armed) < c.timeout/rearm {
		return
	}
	c.armed = now
	// It fails only on a closed connection, which the write will tell.
	_ = c.TCPConn.SetWriteDeadline(now.Add(c.timeout))
}

// idle closes the connection unless it is called again within d; 0 is for ever.
func (c *conn) idle(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.TCPConn.SetReadDeadline(t)
}

// Close closes the connection. It may be called more than once.
func (c *conn) Close() error {
	c.release()
	return c.TCPConn.Close()
}

// The library's deadlines would undo ours.

func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) limitUnsent() {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// Without it slow viewers only lag further behind.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
