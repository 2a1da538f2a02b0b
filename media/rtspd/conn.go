package rtspd

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
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
)

// listener limits connections and wraps them.
type listener struct {
	*net.TCPListener
	counts      *counts
	max, maxOne int
	timeout     time.Duration
	tls         *tls.Config   // nil: plain
	closed      chan struct{} // closed by Close
	once        sync.Once     // closes closed

	mu    sync.Mutex // guards what follows
	total int
	from  map[netip.Addr]int
}

func newListener(l *net.TCPListener, cfg Config, n *counts) *listener {
	return &listener{
		TCPListener: l, counts: n, max: cfg.MaxConns, maxOne: cfg.MaxConnsFrom,
		timeout: cfg.WriteTimeout, tls: cfg.TLS,
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
	c := &conn{wire: newWire(tc, l.timeout), release: sync.OnceFunc(func() { l.leave(addr) })}
	if l.tls != nil {
		c.Conn = tls.Server(tc, l.tls) // who reads first shakes hands
	}
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
// gortsplib reads from it and writes its responses to it.
type conn struct {
	*wire

	release func()
	in      inbound      // belongs to the reading goroutine
	lost    atomic.Value // of error: why nothing more could be read
}

// Read returns requests only.
func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
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

// idle closes the connection unless it is called again within d; 0 is for ever.
func (c *conn) idle(d time.Duration) {
	var t time.Time
	if d > 0 {
		t = time.Now().Add(d)
	}
	_ = c.tcp.SetReadDeadline(t)
}

// Close closes the connection. It may be called more than once.
func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}
