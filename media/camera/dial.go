package camera

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"camrelay/media"
	"camrelay/media/trust"
)

// dial connects to the target; the name is resolved anew each time, since a
// camera's address may have changed. The socket lies below the connection.
func (s Spec) dial(ctx context.Context, t target) (net.Conn, *socket, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	d := net.Dialer{Timeout: connectTimeout}
	conn, err := d.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, nil, connectError(err)
	}
	sock, err := newSocket(conn.(*net.TCPConn))
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	if !t.tls {
		return sock, sock, nil
	}
	cfg, err := trust.Peer{Host: t.hostname(), Insecure: s.Insecure, Fingerprint: s.Fingerprint}.Config()
	if err != nil {
		_ = conn.Close() // what failed is told by err
		return nil, nil, err
	}
	secure := tls.Client(sock, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // as above
		return nil, nil, trust.Explain(err)
	}
	return secure, sock, nil
}

// connectError marks a camera that is not there: who waits for it does so in
// vain.
func connectError(err error) error {
	class := media.ClassNetwork
	for _, no := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, no) {
			class = media.ClassRefused
		}
	}
	if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound {
		class = media.ClassRefused
	}
	if silent, ok := errors.AsType[net.Error](err); ok && silent.Timeout() {
		class = media.ClassRefused
	}
	return media.Fail(class, fmt.Errorf("cannot connect: %w", err))
}
