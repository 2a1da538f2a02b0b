package auth

import (
	"net/netip"
	"sync"
	"time"
)

// Rates are how often something may be asked for. A bucket holds Burst and is
// filled with Per tokens each second; a request takes one.
type Rates struct {
	One, All Bucket // of one address other than loopback; of all together
}

// Bucket is the size of a token bucket. The zero value has no limit.
type Bucket struct {
	Per   float64 // tokens a second
	Burst float64
}

// Limiter counts requests by the address that they come from, in bounded memory.
// It may be called from any goroutine.
type Limiter struct {
	rates Rates

	mu  sync.Mutex // guards what follows
	all level
	one map[netip.Addr]level
}

// level is how full a bucket was. The zero value is a full one.
type level struct {
	missing float64
	at      time.Time
}

// NewLimiter returns a Limiter of full buckets.
func NewLimiter(r Rates) *Limiter { return &Limiter{rates: r, one: make(map[netip.Addr]level)} }

// Take takes a token for a request from remote, host:port, or returns how long
// to wait for one. A unix socket and this box itself have no limit of their own.
func (l *Limiter) Take(remote string, now time.Time) (wait time.Duration) {
	address := addressOf(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	all, wait := l.all.take(l.rates.All, now)
	if wait > 0 {
		return wait
	}
	if address.IsValid() && !address.IsLoopback() {
		one, known := l.one[address]
		if !known && len(l.one) >= maxClients {
			l.forget(now)
		}
		if one, wait = one.take(l.rates.One, now); wait > 0 {
			return wait // it costs the others nothing
		}
		l.one[address] = one
	}
	l.all = all
	return 0
}

// take returns the bucket without one token more, or how long to wait for it.
func (l level) take(b Bucket, now time.Time) (level, time.Duration) {
	if b.Per <= 0 {
		return l, 0
	}
	missing := l.missing
	if d := now.Sub(l.at); d > 0 {
		missing = max(0, missing-d.Seconds()*b.Per)
	}
	if over := missing + 1 - b.Burst; over > 0 {
		return l, max(time.Millisecond, time.Duration(over/b.Per*float64(time.Second)))
	}
	return level{missing + 1, now}, 0
}

// forget makes room: it drops who has a full bucket again, and if nobody has,
// any half of the addresses.
func (l *Limiter) forget(now time.Time) {
	for address, one := range l.one {
		if one.missing <= now.Sub(one.at).Seconds()*l.rates.One.Per {
			delete(l.one, address)
		}
	}
	if len(l.one) < maxClients {
		return
	}
	for address := range l.one {
		if len(l.one) <= maxClients/2 {
			return
		}
		delete(l.one, address)
	}
}
