//go:build cgo

package srt

/*
#cgo LDFLAGS: -lsrt
#cgo noescape connect_to
#cgo nocallback connect_to
#cgo noescape bind_to
#cgo nocallback bind_to
#cgo noescape send_message
#cgo nocallback send_message
#cgo noescape measure
#cgo nocallback measure
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <srt/srt.h>

// address fills in a socket address from an IP address of n bytes.
static int address(struct sockaddr_storage *a, const void *ip, int n, uint16_t port) {
	memset(a, 0, sizeof *a);
	if (n == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)a;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip, 4);
		return sizeof *v4;
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip, 16);
	return sizeof *v6;
}

static int connect_to(SRTSOCKET s, const void *ip, int n, uint16_t port) {
	struct sockaddr_storage a;
	int len = address(&a, ip, n, port);
	return srt_connect(s, (struct sockaddr *)&a, len);
}

// bind_to binds to a port, 0 for any, and returns it, or the number of the
// system's error negated.
static int bind_to(SRTSOCKET s, const void *ip, int n, uint16_t port) {
	struct sockaddr_storage a;
	int len = address(&a, ip, n, port), err = 0;
	if (srt_bind(s, (struct sockaddr *)&a, len) == SRT_ERROR ||
		srt_getsockname(s, (struct sockaddr *)&a, &len) == SRT_ERROR) {
		if (srt_getlasterror(&err) == SRT_EBINDCONFLICT) err = EADDRINUSE;
		return err > 0 ? -err : -EINVAL;
	}
	return ntohs(n == 4 ? ((struct sockaddr_in *)&a)->sin_port : ((struct sockaddr_in6 *)&a)->sin6_port);
}

// send_message returns 1 if libsrt has taken the message, 0 if it has no room,
// else -1.
static int send_message(SRTSOCKET s, const void *b, int n) {
	if (srt_sendmsg2(s, b, n, NULL) != SRT_ERROR) return 1;
	return srt_getlasterror(NULL) == SRT_EASYNCSND ? 0 : -1;
}

struct figures { double rtt; uint64_t dropped_bytes; int retransmitted, dropped, latency; };

static int measure(SRTSOCKET s, struct figures *f) {
	SRT_TRACEBSTATS t;
	if (srt_bstats(s, &t, 1) == SRT_ERROR) return SRT_ERROR;
	f->rtt = t.msRTT;
	f->retransmitted = t.pktRetransTotal;
	f->dropped = t.pktSndDropTotal;
	f->dropped_bytes = t.byteSndDropTotal;
	f->latency = t.msSndTsbPdDelay;
	return 0;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/haivision/srtgo"

	"camrelay/media"
)

// minimum is the libsrt that this was written for; older ones have open holes.
const minimum = 0x010501

// CheckLibrary tells whether the libsrt at hand is recent enough.
func CheckLibrary() error {
	if C.srt_getversion() < minimum {
		return fmt.Errorf("libsrt %s is older than 1.5.1", Version())
	}
	return nil
}

// Version returns the version of libsrt, for example "1.5.1".
func Version() string {
	v := uint32(C.srt_getversion())
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

// link is one SRT connection. None of its methods waits, except dial.
type link struct {
	sock *srtgo.SrtSocket // nil if it was accepted
	id   C.SRTSOCKET
}

// newLink returns a socket that is not connected. It belongs to one goroutine,
// which calls close.
func newLink(options map[string]string) (*link, error) {
	srtgo.SrtSetLogLevel(srtgo.SrtLogLevelCrit) // libsrt writes to standard error; this is for all of the process
	sock := srtgo.NewSrtSocket("", 0, options)
	if sock == nil {
		return nil, media.Fail(media.ClassUnsupported, errors.New("libsrt refuses the settings"))
	}
	l := &link{sock: sock, id: C.SRTSOCKET(sock.GetSocket())}
	for _, option := range []int{C.SRTO_RCVSYN, C.SRTO_SNDSYN} {
		if err := sock.SetSockOptBool(option, false); err != nil {
			l.close()
			return nil, fmt.Errorf("cannot set up the socket: %w", err)
		}
	}
	return l, nil
}

// close gives the socket up. srtgo's finalizer would do it in the midst of things.
func (l *link) close() {
	if l.sock == nil {
		C.srt_close(l.id)
		return
	}
	l.sock.Close()
	runtime.KeepAlive(l.sock)
}

// bind binds to a local address and returns its port, which is any one if that
// of the address is 0. dual lets the IPv6 socket take IPv4 too.
func (l *link) bind(at netip.AddrPort, dual bool) (uint16, error) {
	ip := at.Addr().AsSlice()
	if at.Addr().Is6() {
		only := 1
		if dual {
			only = 0
		}
		if err := l.sock.SetSockOptInt(C.SRTO_IPV6ONLY, only); err != nil {
			return 0, err
		}
	}
	got := C.bind_to(l.id, unsafe.Pointer(&ip[0]), C.int(len(ip)), C.uint16_t(at.Port()))
	if got < 0 {
		return 0, syscall.Errno(-got)
	}
	return uint16(got), nil
}

// look is how often a state is looked at that is about to change.
const look = 10 * time.Millisecond

// doubts is how often a connection is looked at that is broken without a reason:
// so it looks, too, for a moment between connecting and being connected.
const doubts = 30

// dial connects. It takes at most connectTimeout, and ends with ctx.
func (l *link) dial(ctx context.Context, to netip.AddrPort) error {
	ip := to.Addr().AsSlice()
	if C.connect_to(l.id, unsafe.Pointer(&ip[0]), C.int(len(ip)), C.uint16_t(to.Port())) < 0 {
		return l.rejection()
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for broken := 0; ; {
		switch C.srt_getsockstate(l.id) {
		case C.SRTS_CONNECTED:
			return nil
		case C.SRTS_OPENED, C.SRTS_CONNECTING:
		default:
			if broken++; broken > doubts || C.srt_getrejectreason(l.id) != 0 {
				return l.rejection()
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rejection says in words why the socket could not connect.
func (l *link) rejection() error {
	code := C.srt_getrejectreason(l.id)
	return rejected(int(code), C.GoString(C.srt_rejectreason_str(code)))
}

// alive tells whether the connection stands.
func (l *link) alive() bool { return C.srt_getsockstate(l.id) == C.SRTS_CONNECTED }

// write hands one message to libsrt: errFull if it has no room, errLost if the
// connection has ended.
func (l *link) write(msg []byte) error {
	switch C.send_message(l.id, unsafe.Pointer(&msg[0]), C.int(len(msg))) {
	case 1:
		return nil
	case 0:
		return errFull
	}
	if !l.alive() {
		return errLost
	}
	return errors.New("libsrt refuses a message")
}

// queued returns how many messages the peer has not acknowledged yet, and the
// time between the oldest and the newest of them.
func (l *link) queued() (messages int, span time.Duration) {
	var blocks, bytes C.size_t
	ms := C.srt_getsndbuffer(l.id, &blocks, &bytes)
	return int(blocks), time.Duration(max(0, ms)) * time.Millisecond
}

// quality is how well a connection carries.
type quality struct {
	rtt           time.Duration
	retransmitted int           // messages sent again
	dropped       int           // messages given up because they were too late
	latency       time.Duration // as both sides have agreed
}

// dropped returns how many messages were dropped. libsrt 1.5.1 counts each time it
// drops any as one, later ones each message; the bytes have a header for each that
// was counted.
func dropped(bytes, counted int) int {
	const header = 44 // IPv4, UDP and SRT
	return (bytes - counted*header) / payload
}

// quality returns the figures since the connection began.
func (l *link) quality() (quality, error) {
	var f C.struct_figures
	if C.measure(l.id, &f) < 0 {
		return quality{}, errLost
	}
	return quality{
		rtt:           time.Duration(float64(f.rtt) * float64(time.Millisecond)).Round(time.Microsecond),
		retransmitted: int(f.retransmitted), dropped: dropped(int(f.dropped_bytes), int(f.dropped)),
		latency: time.Duration(f.latency) * time.Millisecond,
	}, nil
}
