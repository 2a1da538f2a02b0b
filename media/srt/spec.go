package srt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
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

// Spec is one push, as a caller. It is comparable.
type Spec struct {
	Host       string // name or address of the listener
	Port       uint16
	StreamID   media.Secret  // up to 512 bytes
	Passphrase media.Secret  // 10 to 79 bytes, or empty: not encrypted
	PBKeyLen   int           // of the key, 16, 24 or 32 bytes; 0: the listener's, else 16
	Latency    time.Duration // whole milliseconds up to 1 min; 0: 120 ms; the listener's if that is longer
	Timeout    time.Duration // for connecting, and without progress; 0: 10 s
}

// Validate tells all that is wrong with the specification: libsrt and srtgo
// would ignore it, or fail without a reason. It shows no value that is secret.
func (s Spec) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if s.Host == "" || s.Port == 0 {
		bad("host and port are needed")
	}
	if n := len(s.StreamID); n > 512 {
		bad("streamid has %d bytes, at most 512 are allowed", n)
	}
	if n := len(s.Passphrase); n > 0 && (n < 10 || n > 79) {
		bad("passphrase has %d bytes, 10 to 79 are allowed", n)
	}
	switch s.PBKeyLen {
	case 0, 16, 24, 32:
	default:
		bad("pbkeylen is %d, 16, 24 or 32 are allowed", s.PBKeyLen)
	}
	if s.Latency < 0 || s.Latency > time.Minute || s.Latency%time.Millisecond != 0 {
		bad("latency is %v, whole milliseconds up to 1m are allowed", s.Latency)
	}
	if s.Timeout < 0 {
		bad("timeout is %v", s.Timeout)
	}
	return errors.Join(all...)
}

func (s Spec) timeout() time.Duration {
	if s.Timeout == 0 {
		return defaultStall
	}
	return s.Timeout
}

// options are srtgo's, all of them validated: it ignores what it cannot read.
func (s Spec) options() map[string]string {
	latency := s.Latency
	if latency == 0 {
		latency = defaultLatency
	}
	o := map[string]string{
		"blocking": "1", // as far as srtgo knows
		"mode":     "caller", "transtype": "live", "payloadsize": strconv.Itoa(payload),
		"latency":       strconv.FormatInt(latency.Milliseconds(), 10),
		"conntimeo":     strconv.FormatInt(connectTimeout.Milliseconds(), 10),
		"peeridletimeo": strconv.FormatInt(idleTimeout.Milliseconds(), 10),
	}
	if s.StreamID != "" {
		o["streamid"] = s.StreamID.Reveal()
	}
	if s.Passphrase != "" {
		o["passphrase"] = s.Passphrase.Reveal()
		if s.PBKeyLen > 0 {
			o["pbkeylen"] = strconv.Itoa(s.PBKeyLen)
		}
	}
	return o
}

// maxAddresses bounds how many addresses of a host are tried in one session.
const maxAddresses = 4

// resolve returns the addresses of the listener, anew for each session.
func (s Spec) resolve(ctx context.Context) ([]netip.AddrPort, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.Host)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve the host: %w", err)
	}
	var all []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		all = append(all, netip.AddrPortFrom(ip.Unmap(), s.Port))
	}
	return all, nil
}
