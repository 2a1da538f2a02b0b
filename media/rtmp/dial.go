package rtmp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media"
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
	cfg, err := s.tlsConfig(t.host)
	if err == nil {
		secure := tls.Client(conn, cfg)
		hctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err = secure.HandshakeContext(hctx); err == nil {
			return secure, nil
		}
		err = classify(err)
	}
	_ = conn.Close() // the other error says more
	return nil, fmt.Errorf("cannot agree on TLS: %w", err)
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

func (s Spec) tlsConfig(host string) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName: host, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify:          s.Insecure || s.Fingerprint != "", //nolint:gosec // on request; a pin is checked below
		DynamicRecordSizingDisabled: true,                              // small records mean many writes
	}
	if s.CA != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(s.CA)) {
			return nil, unsupported("the authorities are not in PEM")
		}
	}
	if s.Fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(s.Fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, unsupported("the fingerprint is not a SHA-256 in hex")
		}
		cfg.VerifyConnection = func(cs tls.ConnectionState) error {
			if sha256.Sum256(cs.PeerCertificates[0].Raw) != [sha256.Size]byte(want) {
				return unsupported("the server's certificate has another fingerprint")
			}
			return nil
		}
	}
	return cfg, nil
}

// classify marks what another attempt soon will not cure. A certificate that
// is not valid yet may be: the box's clock may not be set.
func classify(err error) error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore) {
		return err
	}
	var untrusted *tls.CertificateVerificationError
	var other tls.RecordHeaderError
	if errors.As(err, &untrusted) || errors.As(err, &other) {
		return media.Fail(media.ClassUnsupported, err)
	}
	return err
}

func unsupported(text string) error { return media.Fail(media.ClassUnsupported, errors.New(text)) }
