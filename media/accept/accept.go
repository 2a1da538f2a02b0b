// Package accept lets connections and viewers in within limits: in all, and
// from one address, so that nobody takes all the places. It is the counterpart
// of upstream, speaks no protocol and reads nothing.
//
// A Listener is used by one goroutine that accepts; its other methods, and
// those of the connections, may be called from any.
package accept

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// pause is how long a Listener waits when the system has no resources for
// another connection.
const pause = 100 * time.Millisecond

// Bind binds host:port for connections by TCP.
type Bind func(ctx context.Context, address string) (net.Listener, error)

// Bound binds for this process alone.
func Bound(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// Limits are how many connections, viewers or requests there may be at a time.
type Limits struct {
	All     int // in all
	FromOne int // from one address other than loopback; a unix socket has none
}

// Listener limits the connections of another one.
type Listener struct {
	net.Listener

	places  *Places
	refused func()
	closed  chan struct{} // closed by Close
	once    sync.Once     // closes closed
}

// New returns a Listener that takes l over. refused is called for each
// connection that is one too many and is closed at once; it may be nil.
func New(l net.Listener, limits Limits, refused func()) *Listener {
	if refused == nil {
		refused = func() {}
	}
	return &Listener{Listener: l, places: NewPlaces(limits), refused: refused, closed: make(chan struct{})}
}

// Next returns the next connection within the limits, and what is called once
// it has been closed; calling that again does nothing. Its only error is that
// the listener is closed: servers give up at the first one, and a lack of file
// descriptors passes.
func (l *Listener) Next() (c net.Conn, leave func(), err error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, nil, err
		}
		if err != nil {
			l.wait()
			continue
		}
		if leave, err := l.places.Take(remote(c)); err == nil {
			return c, leave, nil
		}
		l.refused()
		_ = c.Close() // nothing was said on it
	}
}

// Accept is Next for servers that only know net.Conn: closing it leaves.
func (l *Listener) Accept() (net.Conn, error) {
	c, leave, err := l.Next()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		return &tcpConn{tcp, leave}, nil
	}
	return &conn{c, leave}, nil
}

// Close closes the listener; its connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *Listener) wait() {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.closed:
	}
}

// remote returns the address of the other side, the zero one if it has none.
func remote(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// tcpConn keeps what TCP can do besides net.Conn, sendfile(2) above all.
type tcpConn struct {
	*net.TCPConn

	leave func()
}

func (c *tcpConn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

type conn struct {
	net.Conn

	leave func()
}

// NetConn returns the connection itself.
func (c *conn) NetConn() net.Conn { return c.Conn }

func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}
