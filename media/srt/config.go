package srt

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Limits that apply where Config says nothing.
const (
	defaultConns   = 256
	defaultPerAddr = 64
)

// Config is what a Server is told. The zero value of each limit means its
// default.
type Config struct {
	Listen     string        // host:port, UDP
	Passphrase media.Secret  // 10 to 79 bytes, for all viewers; or empty: not encrypted
	PBKeyLen   int           // of the key, 16, 24 or 32 bytes; 0: 16
	Latency    time.Duration // whole milliseconds up to 1 min; 0: 120 ms; the viewer's if that is longer

	MaxConns     int           // callers at a time, further ones are refused; 256
	MaxConnsFrom int           // callers from one address other than loopback; 64
	Timeout      time.Duration // a viewer that takes no data for so long is closed; 10 s

	// Refused is told of callers of whom the Opener does not hear, or whose stream
	// cannot be sent; must not block; nil: nobody wants to know.
	Refused func(req hub.Request, err error)
}

// Validate tells all that is wrong with the values, except for Listen. It shows
// none that is secret.
func (c Config) Validate() error {
	err := settings{c.Passphrase, c.PBKeyLen, c.Latency, ""}.validate()
	if min(c.MaxConns, c.MaxConnsFrom) < 0 || c.Timeout < 0 {
		err = errors.Join(err, errors.New("limits must not be negative"))
	}
	return err
}

func (c Config) withDefaults() Config {
	c.MaxConns = cmp.Or(c.MaxConns, defaultConns)
	c.MaxConnsFrom = cmp.Or(c.MaxConnsFrom, defaultPerAddr)
	c.Timeout = cmp.Or(c.Timeout, defaultStall)
	if c.Refused == nil {
		c.Refused = func(hub.Request, error) {}
	}
	return c
}

func (c Config) options() map[string]string {
	return settings{c.Passphrase, c.PBKeyLen, c.Latency, ""}.options()
}

// Stats are counters since a Server was made.
type Stats struct {
	Readers int64  // viewers that are connected now
	Lost    uint64 // units that viewers lost by being slow
	Slow    int64  // viewers closed because they took no data
	Refused int64  // callers that got no stream
}

// settings is what callers and listeners have in common.
type settings struct {
	passphrase media.Secret
	pbKeyLen   int
	latency    time.Duration
	streamID   media.Secret
}

func (s settings) validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if n := len(s.streamID); n > 512 {
		bad("streamid has %d bytes, at most 512 are allowed", n)
	}
	if n := len(s.passphrase); n > 0 && (n < 10 || n > 79) {
		bad("passphrase has %d bytes, 10 to 79 are allowed", n)
	}
	switch s.pbKeyLen {
	case 0, 16, 24, 32:
	default:
		bad("pbkeylen is %d, 16, 24 or 32 are allowed", s.pbKeyLen)
	}
	if s.latency < 0 || s.latency > time.Minute || s.latency%time.Millisecond != 0 {
		bad("latency is %v, whole milliseconds up to 1m are allowed", s.latency)
	}
	return errors.Join(all...)
}

// options are srtgo's, all of them validated: it ignores what it cannot read.
func (s settings) options() map[string]string {
	o := map[string]string{
		"blocking": "1", // as far as srtgo knows
		"mode":     "caller", "transtype": "live", "payloadsize": strconv.Itoa(payload),
		"latency":       strconv.FormatInt(cmp.Or(s.latency, defaultLatency).Milliseconds(), 10),
		"conntimeo":     strconv.FormatInt(connectTimeout.Milliseconds(), 10),
		"peeridletimeo": strconv.FormatInt(idleTimeout.Milliseconds(), 10),
	}
	if s.streamID != "" {
		o["streamid"] = s.streamID.Reveal()
	}
	if s.passphrase != "" {
		o["passphrase"] = s.passphrase.Reveal()
		if s.pbKeyLen > 0 {
			o["pbkeylen"] = strconv.Itoa(s.pbKeyLen)
		}
	}
	return o
}
