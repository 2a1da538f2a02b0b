package auth

import (
	"net/netip"
	"sync"
	"time"
)

// How who fails is made to wait.
const (
	freeOfUser    = 5  // attempts of one address for one name without waiting
	freeOfAddress = 20 // attempts of one address for any names
	maxWait       = time.Minute
	maxWaitAll    = 10 * time.Second
	forgetAfter   = 10 * time.Minute
	maxClients    = 4096
)

// client is who is counted: an address with a name, or with all its names.
type client struct {
	address netip.Addr
	user    string // empty: all
}

// failures is what is known of a client.
type failures struct {
	n     int
	last  time.Time
	until time.Time // no attempt is looked at before
}

// throttle counts failed logins in bounded memory.
type throttle struct {
	mu    sync.Mutex // guards known
	known map[client]*failures
}

// addressOf returns what is counted as one address: of IPv6 a network of 64
// bits, which a single host has to itself.
func addressOf(remote string) netip.Addr {
	var addr netip.Addr
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		addr = ap.Addr()
	} else if addr, err = netip.ParseAddr(remote); err != nil {
		return netip.Addr{} // a unix socket
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr
}

// wait returns how long the client has to wait, 0 if it may try.
func (t *throttle) wait(c client, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.known[c]
	if f == nil {
		return 0
	}
	return max(0, f.until.Sub(now))
}

// try enters an attempt unless the client has to wait, which takes as long
// as is returned. began tells that it has to wait from now on and did not before.
func (t *throttle) try(c client, now time.Time) (wait time.Duration, began bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.known[c]
	switch {
	case f == nil && len(t.known) >= maxClients:
		t.forget(now)
	case f == nil:
	case now.Before(f.until):
		return f.until.Sub(now), false
	case now.Sub(f.last) > forgetAfter:
		f = nil
	}
	if f == nil {
		f = &failures{}
		if t.known == nil {
			t.known = make(map[client]*failures)
		}
		t.known[c] = f
	}
	f.n++
	f.last = now
	free, longest := freeOfUser, maxWait
	if c.user == "" {
		free, longest = freeOfAddress, maxWaitAll
	}
	if f.n >= free {
		f.until = now.Add(min(longest, time.Second<<min(f.n-free, 10)))
	}
	return 0, f.n == free
}

// forgive forgets the failures of a client who has shown the right password,
// and of its address the one attempt that was none.
func (t *throttle) forgive(c client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, c)
	if f := t.known[client{c.address, ""}]; f != nil {
		f.n--
	}
}

// forget makes room: it drops what is old, and if too little is, any half.
func (t *throttle) forget(now time.Time) {
	for _, age := range []time.Duration{forgetAfter, maxWait, 0} {
		for c, f := range t.known {
			if now.Sub(f.last) > age || age == 0 && len(t.known) > maxClients/2 {
				delete(t.known, c)
			}
		}
		if len(t.known) < maxClients {
			return
		}
	}
}
