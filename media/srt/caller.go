//go:build cgo

package srt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// Caller makes the pushes that are run through it leave from few UDP ports:
// libsrt runs two threads for each, one of which wakes up a hundred times a
// second. The zero value is ready.
//
// Two connections to the same listener never leave from the same port: there
// are listeners that tell callers apart by address and port alone.
type Caller struct {
	mu    sync.Mutex // guards what follows
	ports []*port
}

// port is a local UDP port.
type port struct {
	number uint16
	v6     bool
	users  int
	known  []netip.AddrPort // listeners that have seen it
}

// any is the port at every address of its family.
func (p *port) any() netip.AddrPort {
	if p.v6 {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), p.number)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), p.number)
}

// bind binds l to a port for a connection to the given listener. release gives
// the port back once l is closed.
func (c *Caller) bind(l *link, to netip.AddrPort) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.ports, func(p *port) bool {
		return p.v6 == to.Addr().Is6() && !slices.Contains(p.known, to)
	})
	var p *port
	if i >= 0 {
		p = c.ports[i]
	} else {
		p = &port{v6: to.Addr().Is6()}
	}
	number, err := l.bind(p.any(), false)
	if err != nil {
		return func() {} // libsrt binds it as it connects
	}
	if i < 0 {
		c.ports = append(c.ports, p)
	}
	p.number = number
	p.known = append(p.known, to)
	p.users++
	return func() { c.release(p) }
}

func (c *Caller) release(p *port) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.users--; p.users == 0 {
		c.ports = slices.DeleteFunc(c.ports, func(o *port) bool { return o == p })
	}
}

// dial connects to the listener of a Spec, trying its addresses one after the
// other. hangUp ends the connection.
func (c *Caller) dial(ctx context.Context, spec Spec) (l *link, hangUp func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, spec.timeout())
	defer cancel()
	all, err := spec.resolve(ctx)
	if err != nil {
		return nil, nil, err
	}
	err = errors.New("the host has no address")
	for _, to := range all {
		if l, err = newLink(spec.options()); err != nil {
			return nil, nil, err
		}
		release := c.bind(l, to)
		hangUp = func() { l.close(); release() }
		if err = l.dial(ctx, to); err == nil {
			return l, hangUp, nil
		}
		hangUp()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, fmt.Errorf("cannot connect: %w", err)
}
