package srt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"camrelay/media"
)

// Bounds in time.
const (
	connectTimeout = 3 * time.Second
	idleTimeout    = 5 * time.Second // without a word from the peer
	defaultStall   = 10 * time.Second
	defaultLatency = 120 * time.Millisecond
)

// Spec is one push. It is comparable.
type Spec struct {
	Host       string // name or address of the listener
	Port       uint16
	StreamID   media.Secret  // up to 512 bytes
	Passphrase media.Secret  // 10 to 79 bytes, or empty: not encrypted
	PBKeyLen   int           // of the key, 16, 24 or 32 bytes; 0: the listener's, else 16
	Latency    time.Duration // whole milliseconds up to 1 min; 0: 120 ms; the peer's if that is longer
	Timeout    time.Duration // for connecting, and without progress; 0: 10 s

	// Listen makes the push wait for a receiver to call, instead of calling.
	// Host is then an address of this box, empty for all of them, and StreamID
	// what the receiver must ask for, empty for anything.
	Listen bool
}

// Validate tells all that is wrong with the specification: libsrt and srtgo
// would ignore it, or fail without a reason. It shows no value that is secret.
func (s Spec) Validate() error {
	err := s.settings().validate()
	if s.Host == "" && !s.Listen || s.Port == 0 {
		err = errors.Join(errors.New("host and port are needed"), err)
	}
	if s.Timeout < 0 {
		err = errors.Join(err, fmt.Errorf("timeout is %v", s.Timeout))
	}
	return err
}

func (s Spec) timeout() time.Duration { return cmp.Or(s.Timeout, defaultStall) }

func (s Spec) settings() settings { return settings{s.Passphrase, s.PBKeyLen, s.Latency, s.StreamID} }

func (s Spec) options() map[string]string {
	set := s.settings()
	if s.Listen {
		set.streamID = "" // the receiver's
	}
	return set.options()
}

// maxAddresses bounds how many addresses of a host are tried in one session.
const maxAddresses = 4

// resolve returns the addresses of the listener, anew for each session.
func (s Spec) resolve(ctx context.Context) ([]netip.AddrPort, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.Host)
	if err != nil {
		return nil, unresolved(err)
	}
	var all []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), s.Port))
	}
	return all, nil
}

// unresolved says in words why a name has no address.
func unresolved(err error) error {
	d, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && d.IsNotFound:
		return fmt.Errorf("no such host: %s", d.Name)
	case ok && d.IsTimeout:
		err = fmt.Errorf("the name server does not answer when asked for %s", d.Name)
		return media.Fail(media.ClassUnreachable, err)
	}
	return fmt.Errorf("cannot resolve the host: %w", err)
}
