//go:build cgo

package srt

/*
#include <arpa/inet.h>
#include <stdint.h>
#include <srt/srt.h>

extern int32_t camrelaySRTCalled(uintptr_t listener, int32_t id, void *ip, int32_t n, uint16_t port, void *streamid);

// called tells Go of a caller, and libsrt the reason to refuse it if there is one.
static int called(void *listener, SRTSOCKET s, int version, const struct sockaddr *peer, const char *streamid) {
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
	int reason = peer->sa_family == AF_INET6 ?
		camrelaySRTCalled((uintptr_t)listener, s, (void *)&v6->sin6_addr, 16, ntohs(v6->sin6_port), (void *)streamid) :
		camrelaySRTCalled((uintptr_t)listener, s, (void *)&v4->sin_addr, 4, ntohs(v4->sin_port), (void *)streamid);
	if (reason == 0) return 0;
	srt_setrejectreason(s, reason);
	return -1;
}

// listen_for makes a bound socket take calls.
static int listen_for(SRTSOCKET s, uintptr_t listener, int backlog) {
	if (srt_listen_callback(s, called, (void *)listener) == SRT_ERROR) return SRT_ERROR;
	return srt_listen(s, backlog);
}

static SRTSOCKET accept_one(SRTSOCKET s) { return srt_accept(s, NULL, NULL); }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/cgo"
	"strconv"
	"syscall"
	"time"
)

// caller is somebody who asks for a connection.
type caller struct {
	id       int32 // of the socket that it gets
	remote   netip.AddrPort
	streamID string
}

// listener is a bound socket that takes calls.
type listener struct {
	link   *link
	addr   netip.AddrPort
	rest   rest       // from bindListener to close; begun and ended by who counts the connections
	handle cgo.Handle // of ask; 0 before listen
	ask    func(caller) (reason int)
}

// bindListener binds host:port; an empty host is all addresses, IPv4 and IPv6.
// Callers wait until listen is called.
func bindListener(ctx context.Context, address string, options map[string]string) (*listener, error) {
	at, dual, err := localAddress(ctx, address)
	if err != nil {
		return nil, err
	}
	l, err := newLink(options)
	if err != nil {
		return nil, err
	}
	port, err := l.bind(at, dual)
	if err != nil && dual && !errors.Is(err, syscall.EADDRINUSE) { // a system without IPv6
		l.close()
		if l, err = newLink(options); err != nil {
			return nil, err
		}
		at = netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())
		port, err = l.bind(at, false)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	at = netip.AddrPortFrom(at.Addr(), port)
	return &listener{link: l, addr: at, rest: newRest(at)}, nil
}

// localAddress turns host:port into an address, and tells whether it is that of
// all addresses.
func localAddress(ctx context.Context, address string) (at netip.AddrPort, dual bool, err error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return at, false, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return at, false, fmt.Errorf("the port is no number: %w", err)
	}
	if host == "" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), true, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return at, false, err
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(n)), false, nil
}

// listen begins to take calls, up to backlog at a time before they are
// accepted. ask is called for each caller, in the thread that receives for
// everybody on the port: it must not wait. It returns 0, or why the caller is
// refused: a code from 1000 on.
func (l *listener) listen(backlog int, ask func(caller) (reason int)) error {
	l.ask = ask
	l.handle = cgo.NewHandle(l)
	// For the thread of accept. What is accepted is written to only.
	if err := l.link.sock.SetSockOptBool(C.SRTO_RCVSYN, true); err != nil {
		return err
	}
	if C.listen_for(l.link.id, C.uintptr_t(l.handle), C.int(backlog)) < 0 {
		return syscall.EADDRINUSE // a bound socket fails for nothing else
	}
	return nil
}

// acceptPause is how long accept rests after a failure that is not the end.
const acceptPause = 100 * time.Millisecond

var errClosed = errors.New("the listener is closed")

// accept waits for the next connection and returns it with the id that ask was
// given, until close is called: then it returns errClosed. It takes a thread.
func (l *listener) accept() (*link, int32, error) {
	for {
		if id := C.accept_one(l.link.id); id > 0 {
			return &link{id: id}, int32(id), nil
		}
		if C.srt_getsockstate(l.link.id) != C.SRTS_LISTENING {
			return nil, 0, errClosed
		}
		<-time.After(acceptPause)
	}
}

// close ends all: no call of ask is under way or follows, accept returns.
func (l *listener) close() {
	l.rest.end() // libsrt waits for its thread some seconds later
	l.link.close()
	l.rest.close()
	if l.handle != 0 {
		l.handle.Delete() // libsrt asks under the lock that closing has taken
	}
}

// dead tells whether a socket that was asked about will not be accepted.
func dead(id int32) bool {
	switch C.srt_getsockstate(C.SRTSOCKET(id)) {
	case C.SRTS_BROKEN, C.SRTS_CLOSING, C.SRTS_CLOSED, C.SRTS_NONEXIST:
		return true
	}
	return false
}
