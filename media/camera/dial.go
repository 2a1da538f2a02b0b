package camera

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

	"camrelay/media"
)

// dial connects to the target; the name is resolved anew each time, since a
// camera's address may have changed. The socket lies below the connection.
func (s Spec) dial(ctx context.Context, t target) (net.Conn, *socket, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var d net.Dialer
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
	secure := tls.Client(sock, s.tlsConfig(t))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // what failed is told by err
		return nil, nil, certificateError(err)
	}
	return secure, sock, nil
}

// connectError tells a camera that is not there from one that does not answer yet.
func connectError(err error) error {
	class := media.ClassNetwork
	var unknown *net.DNSError
	for _, no := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, no) {
			class = media.ClassRefused
		}
	}
	if errors.As(err, &unknown) && unknown.IsNotFound {
		class = media.ClassRefused
	}
	return media.Fail(class, fmt.Errorf("cannot connect: %w", err))
}

// tlsConfig trusts the pinned certificate, any certificate, or the system's
// roots, as the Spec says.
func (s Spec) tlsConfig(t target) *tls.Config {
	name, _, _ := strings.Cut(t.hostname(), "%")
	cfg := &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: s.Insecure || s.Fingerprint != "", // both are the owner's word, and shown
	}
	want := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s.Fingerprint))
	if want == "" {
		return cfg
	}
	cfg.VerifyConnection = func(st tls.ConnectionState) error {
		if len(st.PeerCertificates) == 0 {
			return errPin
		}
		sum := sha256.Sum256(st.PeerCertificates[0].Raw)
		if got := hex.EncodeToString(sum[:]); got != want {
			return fmt.Errorf("%w: it has fingerprint %s", errPin, got)
		}
		return nil
	}
	return cfg
}

var errPin = errors.New("the camera's certificate is not the pinned one")

// certificateError says what is wrong with a certificate and what can be done.
// A wrong date may be the box's own, before its clock is set: that is tried
// again soon.
func certificateError(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, errPin):
		return media.Fail(media.ClassUnsupported, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the camera's certificate is not valid now (%w); pin its fingerprint or set insecure", err)
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return media.Fail(media.ClassUnsupported,
			fmt.Errorf("the camera's certificate is not trusted (%w); pin its fingerprint or set insecure", err))
	}
	return fmt.Errorf("cannot set up TLS: %w", err)
}
