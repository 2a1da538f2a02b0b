package testcam

import (
	"net"
	"sync"
	"time"
)

// gate holds back everything that is written while it is shut.
type gate struct {
	mu   sync.Mutex // guards open
	open chan struct{}
}

// set shuts or opens the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if shut && g.open == nil {
		g.open = make(chan struct{})
	}
	if !shut && g.open != nil {
		close(g.open)
		g.open = nil
	}
}

// opened returns nil, or while the gate is shut the channel that is closed
// when it opens.
func (g *gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// gatedListener accepts connections that write through the gate, once ready.
type gatedListener struct {
	net.Listener
	gate  *gate
	ready <-chan struct{}
	done  <-chan struct{} // the server is going away
}

// Accept waits for the next connection.
func (l *gatedListener) Accept() (net.Conn, error) {
	select {
	case <-l.ready:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: c, gate: l.gate, closed: make(chan struct{}), done: l.done}, nil
}

// gatedConn writes nothing while the gate is shut.
type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
	done   <-chan struct{}
}

// Write waits for the gate, then writes with a deadline of its own: the
// caller's has passed by then.
func (c *gatedConn) Write(p []byte) (int, error) {
	if open := c.gate.opened(); open != nil {
		select {
		case <-open:
		case <-c.closed:
			return 0, net.ErrClosed
		case <-c.done:
			return 0, net.ErrClosed
		}
		if err := c.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// Close lets a waiting Write go and closes the connection.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
