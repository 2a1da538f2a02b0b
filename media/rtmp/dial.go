package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/trust"
)

// unsentLimit bounds what waits in the kernel without having been sent, so
// that a write stops soon after the server has stopped taking data.
const unsentLimit = 128 << 10

// dial connects to one of the server's addresses, which are looked up each
// time, and speaks TLS if the target wants it.
func (s Spec) dial(ctx context.Context, t target, timeout time.Duration) (net.Conn, error) {
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
	conn, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil || !t.tls {
		return conn, err
	}
	cfg, err := trust.Peer{Host: t.host, Insecure: s.Insecure, Fingerprint: s.Fingerprint, CA: s.CA}.Config()
	if err == nil {
		cfg.DynamicRecordSizingDisabled = true // small records mean many writes
		secure := tls.Client(conn, cfg)
		hctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err = secure.HandshakeContext(hctx); err == nil {
			return secure, nil
		}
		err = trust.Explain(err)
	}
	_ = conn.Close() // the other error says more
	return nil, err
}

// limit makes the kernel give a connection up when nothing is acknowledged, or
// the window stays shut, for as long as timeout (RFC 5482).
func limit(fd int, timeout time.Duration) error {
	ms := int(timeout / time.Millisecond)
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit))
}

// unsent returns the bytes that the kernel has not sent yet, because the window
// of the other side or of the network is shut.
func unsent(conn net.Conn) int {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	n := 0
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) })
		}
	}
	return n
}

func unsupported(text string) error { return media.Fail(media.ClassUnsupported, errors.New(text)) }
