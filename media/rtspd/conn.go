package rtspd

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"camrelay/media/accept"
)

const (
	// requestTimeout closes a connection that neither plays nor completes a request.
	requestTimeout = 30 * time.Second
	// sessionTimeout is what clients are told, by the library too.
	sessionTimeout = 60 * time.Second
	// pausedTimeout is requestTimeout for a session that does not play, or whose
	// packets are multicast.
	pausedTimeout = sessionTimeout + 5*time.Second
	// lingerTimeout is how long a client may take to close after its session has ended.
	lingerTimeout = 2 * time.Second
)

// listener wraps the connections that are let in.
type listener struct {
	*accept.Listener

	timeout time.Duration
	tls     *tls.Config // nil: plain
}

func newListener(l net.Listener, cfg Config, n *counts) *listener {
	limits := accept.Limits{All: cfg.MaxConns, FromOne: cfg.MaxConnsFrom}
	return &listener{
		Listener: accept.New(l, limits, func() { n.refused.Add(1) }), timeout: cfg.WriteTimeout, tls: cfg.TLS,
	}
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	next, leave, err := l.Next()
	if err != nil {
		return nil, err
	}
	tcp := next.(*net.TCPConn)
	c := &conn{wire: newWire(tcp, l.timeout), release: leave}
	if l.tls != nil {
		c.Conn = tls.Server(tcp, l.tls) // who reads first shakes hands
	}
	c.limitUnsent()
	c.idle(requestTimeout)
	return c, nil
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
	case errors.Is(lost.error, os.ErrDeadlineExceeded):
		return errTimeout
	}
	return errClosed
}

// idle closes the connection unless it is called again within d; 0 is for ever.
func (c *conn) idle(d time.Duration) {
	var t time.Time
	if d != 0 {
		t = time.Now().Add(d)
	}
	_ = c.tcp.SetReadDeadline(t)
}

// peer returns the address of the other side.
func (c *conn) peer() netip.Addr {
	return c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
}

// fromHere tells whether the other side is on this box.
func (c *conn) fromHere() bool {
	return c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() == c.peer()
}

// Close closes the connection. It may be called more than once.
func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}
