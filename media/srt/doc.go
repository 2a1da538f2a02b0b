// Package srt pushes a stream to an SRT listener, as MPEG-TS in payloads of
// seven transport packets. It is the only package with cgo: libsrt through
// srtgo, and a shim for what srtgo lacks. Built without cgo, Run says so.
//
// Run may be called from any goroutine and any number of times at once.
//
// # Why
//
// srtgo's deadlines spin or deadlock, and Close wakes nobody. So the goroutine
// that calls Run owns the socket and does everything itself: connect, write,
// statistics, close. It looks at its context between the calls; none of them
// lasts longer than the connection timeout of 3 s, and a write no longer than
// the latency, because libsrt drops what is too late.
package srt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// payload is what one SRT message carries: seven transport packets.
const payload = 7 * mpegts.PacketSize

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
	StreamID   media.Secret // up to 512 bytes
	Passphrase media.Secret // 10 to 79 bytes, or empty: not encrypted
	PBKeyLen   int          // 0, 16, 24 or 32 bytes
	Latency    time.Duration
	Timeout    time.Duration // without progress; 0: 10 s
}

// Validate tells what is wrong with the specification: libsrt and srtgo would
// ignore it, or fail without a reason.
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
	if s.Latency < 0 || s.Latency > time.Minute {
		bad("latency is %v, up to 1m is allowed", s.Latency)
	}
	return errors.Join(all...)
}

// options are srtgo's, all of them validated.
func (s Spec) options() map[string]string {
	latency := s.Latency
	if latency == 0 {
		latency = defaultLatency
	}
	o := map[string]string{
		"blocking": "0", "transtype": "live", "payloadsize": strconv.Itoa(payload),
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

// resolve returns the addresses of the listener, anew for each session.
func (s Spec) resolve(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, s.Host)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve the host: %w", err)
	}
	return addrs, nil
}

// recipe says how the transport stream of a stream is made, once for all who
// want it.
func recipe(tracks []*media.Track) hub.Recipe[mpegts.Chunk] {
	return hub.Recipe[mpegts.Chunk]{
		Name:   "mpegts",
		Limits: hub.Limits{Entries: 1 << 14, Bytes: 16 << 20, Keep: 4 * time.Second},
		Size:   func(c mpegts.Chunk) int { return len(c.Data) },
		Start:  func(c mpegts.Chunk) bool { return c.Key },
		New: func() func(*media.Unit, []mpegts.Chunk) []mpegts.Chunk {
			return mpegts.New(tracks).Chunks
		},
	}
}

// tracksOf returns what can be carried, or says why nothing can.
func tracksOf(all []*media.Track) ([]*media.Track, error) {
	if slices.ContainsFunc(all, mpegts.Carries) {
		return all, nil
	}
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Codec.String()
	}
	return nil, media.Fail(media.ClassUnsupported, fmt.Errorf("MPEG-TS cannot carry %v", names))
}
