// Package upstream connects to the servers that take a push over TCP: with
// TLS where it is wanted, and with limits in the kernel so that a server that
// has stopped reading is noticed. It speaks no protocol and keeps nothing.
// Everything in it may be called from any goroutine.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/trust"
)

// unsentLimit bounds what waits in the kernel without having been sent, in
// bytes, so that a write stops soon after the server has stopped taking data.
const unsentLimit = 128 << 10

// Dial connects to one of the addresses of host:port, which are looked up each
// time, and speaks TLS with peer unless that is nil. timeout bounds the
// connecting, the handshake, and how long the kernel waits for an
// acknowledgement. Errors say in words what is wrong, and carry a class.
func Dial(ctx context.Context, address string, peer *trust.Peer, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 20 * time.Second, Interval: 5 * time.Second, Count: 3},
		ControlContext: func(_ context.Context, _, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) { err = limit(int(fd), timeout) }); e != nil {
				return e
			}
			return err
		},
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, unreached(err, address, timeout)
	}
	if peer == nil {
		return conn, nil
	}
	secure, err := handshake(ctx, conn, *peer, timeout)
	if err != nil {
		_ = conn.Close() // the other error says more
		return nil, err
	}
	return secure, nil
}

func handshake(ctx context.Context, conn net.Conn, peer trust.Peer, timeout time.Duration) (net.Conn, error) {
	cfg, err := peer.Config()
	if err != nil {
		return nil, err
	}
	cfg.DynamicRecordSizingDisabled = true // small records mean many writes
	secure := tls.Client(conn, cfg)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, trust.Explain(err)
	}
	return secure, nil
}

// unreached says in words why there is no connection. What the error says of
// addresses that were tried stays in it.
func unreached(err error, address string, timeout time.Duration) error {
	host, _, _ := net.SplitHostPort(address)
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		if lookup.IsNotFound {
			return media.Fail(media.ClassRefused, fmt.Errorf("there is no such name as %s (%w)", host, err))
		}
		return fmt.Errorf("cannot find the address of %s: the name server does not answer (%w)", host, err)
	}
	var slow net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return media.Fail(media.ClassRefused, fmt.Errorf("nobody listens at %s (%w)", address, err))
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("there is no way to %s (%w)", address, err)
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("%s does not answer within %v (%w)", address, timeout, err)
	}
	return err
}

// Limit makes the kernel do for conn, which may be one that was accepted, what
// Dial makes it do.
func Limit(conn *net.TCPConn, timeout time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = limit(int(fd), timeout) }); e != nil {
		return e
	}
	return err
}

// limit makes the kernel give a connection up when nothing is acknowledged, or
// the window stays shut, for as long as timeout (RFC 5482).
func limit(fd int, timeout time.Duration) error {
	ms := int(timeout / time.Millisecond)
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit))
}

// TCP returns the TCP connection below conn, which Dial has made; nil if there is none.
func TCP(conn net.Conn) *net.TCPConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// RTT returns the round trip time of the connection as the kernel measures it, 0
// if it is not known.
func RTT(conn net.Conn) time.Duration {
	tcp := TCP(conn)
	if tcp == nil {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	var rtt time.Duration
	_ = raw.Control(func(fd uintptr) { // its error is that the connection is closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Rtt) * time.Microsecond
		}
	})
	return rtt
}

// Unsent returns the bytes that the kernel has not sent yet, because the window
// of the other side or of the network is shut.
func Unsent(conn net.Conn) int {
	tcp, n := TCP(conn), 0
	if tcp == nil {
		return 0
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) })
	}
	return n
}
