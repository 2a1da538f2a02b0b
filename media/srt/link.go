//go:build cgo

package srt

/*
#cgo LDFLAGS: -lsrt
#include <arpa/inet.h>
#include <string.h>
#include <srt/srt.h>

// address fills in a socket address from an IP address of n bytes, NULL for any.
static int address(struct sockaddr_storage *a, const void *ip, int n, uint16_t port) {
	memset(a, 0, sizeof *a);
	if (n == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)a;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		if (ip) memcpy(&v4->sin_addr, ip, 4);
		return sizeof *v4;
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	if (ip) memcpy(&v6->sin6_addr, ip, 16);
	return sizeof *v6;
}

static int connect_to(SRTSOCKET s, const void *ip, int n, uint16_t port) {
	struct sockaddr_storage a;
	int len = address(&a, ip, n, port);
	return srt_connect(s, (struct sockaddr *)&a, len);
}

// bind_to binds to a port of any address, 0 for any port, and returns the port
// or -1.
static int bind_to(SRTSOCKET s, int n, uint16_t port) {
	struct sockaddr_storage a;
	int len = address(&a, NULL, n, port);
	if (srt_bind(s, (struct sockaddr *)&a, len) == SRT_ERROR ||
		srt_getsockname(s, (struct sockaddr *)&a, &len) == SRT_ERROR) return -1;
	return ntohs(n == 4 ? ((struct sockaddr_in *)&a)->sin_port : ((struct sockaddr_in6 *)&a)->sin6_port);
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"github.com/haivision/srtgo"

	"camrelay/media"
)

// minimum is the libsrt that this was written for; older ones have open holes.
const minimum = 0x010501

// CheckLibrary tells whether the libsrt at hand is recent enough.
func CheckLibrary() error {
	if v := uint32(C.srt_getversion()); v < minimum {
		return fmt.Errorf("libsrt %d.%d.%d is older than 1.5.1", v>>16, v>>8&0xff, v&0xff)
	}
	return nil
}

var (
	errFull = errors.New("the send buffer is full")
	errLost = media.EndedBy(media.ErrPeerClosed, "the upstream closed the connection or stopped answering")
)

// link is one SRT connection. None of its methods waits, except dial.
type link struct {
	sock *srtgo.SrtSocket
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

// close gives the socket up. Its finalizer would do it in the midst of things.
func (l *link) close() {
	l.sock.Close()
	runtime.KeepAlive(l.sock)
}

// bind binds to a local port, 0 for any, and returns it.
func (l *link) bind(to netip.Addr, port uint16) (uint16, bool) {
	n := C.int(to.BitLen() / 8)
	if n == 16 && l.sock.SetSockOptInt(C.SRTO_IPV6ONLY, 1) != nil {
		return 0, false
	}
	got := C.bind_to(l.id, n, C.uint16_t(port))
	return uint16(got), got > 0
}

// look is how often the state of a connection that begins is looked at.
const look = 10 * time.Millisecond

// dial connects. It takes at most connectTimeout, and ends with ctx.
func (l *link) dial(ctx context.Context, to netip.AddrPort) error {
	ip := to.Addr().AsSlice()
	if C.connect_to(l.id, unsafe.Pointer(&ip[0]), C.int(len(ip)), C.uint16_t(to.Port())) < 0 {
		return l.rejection()
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		switch C.srt_getsockstate(l.id) {
		case C.SRTS_CONNECTED:
			return nil
		case C.SRTS_OPENED, C.SRTS_CONNECTING:
		default:
			return l.rejection()
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
	_, err := l.sock.Write(msg)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, error(srtgo.EAsyncSND)):
		return errFull
	case !l.alive():
		return errLost
	}
	return fmt.Errorf("cannot send: %w", err)
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

// quality returns the figures since the connection began.
func (l *link) quality() (quality, error) {
	st, err := l.sock.Stats()
	if err != nil {
		return quality{}, errLost
	}
	return quality{
		rtt:           time.Duration(st.MsRTT * float64(time.Millisecond)).Round(time.Microsecond),
		retransmitted: st.PktRetransTotal, dropped: st.PktSndDropTotal,
		latency: time.Duration(st.MsSndTsbPdDelay) * time.Millisecond,
	}, nil
}
