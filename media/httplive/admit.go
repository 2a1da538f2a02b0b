package httplive

import (
	"errors"
	"net"
	"net/netip"
)

// Why a viewer is not admitted. All of them pass.
var (
	errFull       = errors.New("too many viewers")
	errStreamFull = errors.New("too many viewers of this stream")
	errAddrFull   = errors.New("too many viewers from this address")
)

// admit takes a place for a viewer, who gives it back by leave.
func (h *Handler) admit(name, remote string) (leave func(), err error) {
	addr := addrOf(remote)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.viewers >= h.cfg.Viewers:
		err = errFull
	case h.byStream[name] >= h.cfg.PerStream:
		err = errStreamFull
	case addr != "" && h.byAddr[addr] >= h.cfg.PerAddr:
		err = errAddrFull
	}
	if err != nil {
		h.counts.refused.Add(1)
		return nil, err
	}
	h.viewers++
	h.byStream[name]++
	h.byAddr[addr]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.viewers--
		release(h.byStream, name)
		release(h.byAddr, addr)
	}, nil
}

func release(places map[string]int, key string) {
	if places[key]--; places[key] == 0 {
		delete(places, key)
	}
}

// addrOf returns the address of a viewer, empty for this machine, which may be
// a proxy in front of any number of viewers.
func addrOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().IsLoopback() {
		return ""
	}
	return host
}
