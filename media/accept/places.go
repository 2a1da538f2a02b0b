package accept

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// Why there is no place. Both pass.
var (
	ErrFull    = errors.New("too many viewers")
	ErrFromOne = errors.New("too many viewers from this address")
)

// Places are what Limits leave room for: connections, viewers or requests. All
// of it may be called from any goroutine.
type Places struct {
	limits Limits

	mu    sync.Mutex // guards what follows
	total int
	from  map[netip.Addr]int
}

// NewPlaces returns places that nobody has taken.
func NewPlaces(limits Limits) *Places { return &Places{limits: limits, from: make(map[netip.Addr]int)} }

// Take takes a place for somebody at that address, the zero one if there is
// none. It is given back by leave; calling that again does nothing. The error
// is ErrFull or ErrFromOne. This machine may be a proxy in front of any number
// of viewers, so only the limit in all counts for it.
func (p *Places) Take(addr netip.Addr) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	near := !addr.IsValid() || addr.IsLoopback()
	switch {
	case p.total >= p.limits.All:
		return nil, ErrFull
	case !near && p.from[addr] >= p.limits.FromOne:
		return nil, ErrFromOne
	}
	p.total++
	p.from[addr]++
	return sync.OnceFunc(func() { p.leave(addr) }), nil
}

func (p *Places) leave(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.from[addr]--; p.from[addr] == 0 {
		delete(p.from, addr)
	}
}

// Taken returns how many places are taken.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// AddrOf returns the address in remote, host:port or host; the zero one if that
// is no address.
func AddrOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{} // a name, or what a unix socket has
	}
	return addr.Unmap()
}
