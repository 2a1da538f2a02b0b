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

	"camrelay/media"
)

// joinPort adds the standard port of RTSP, or of RTSP over TLS.
func joinPort(host string, secure bool) string {
	if secure {
		return net.JoinHostPort(host, "322")
	}
	return net.JoinHostPort(host, "554")
}

// dial connects to the target; the name is resolved anew each time, a camera's
// address may have changed.
func (s Spec) dial(ctx context.Context, t target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.host)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	if !t.tls {
		return conn, nil
	}
	host, _, err := net.SplitHostPort(t.host)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, s.tlsConfig(host))
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(certificateError(err), conn.Close())
	}
	return secure, nil
}

// tlsConfig trusts the pinned certificate, any certificate, or the system's
// roots, as the Spec says.
func (s Spec) tlsConfig(host string) *tls.Config {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if s.Insecure || s.Fingerprint != "" {
		cfg.InsecureSkipVerify = true
	}
	if want := strings.ToLower(strings.ReplaceAll(s.Fingerprint, ":", "")); want != "" {
		cfg.VerifyConnection = func(st tls.ConnectionState) error {
			sum := sha256.Sum256(st.PeerCertificates[0].Raw)
			if got := hex.EncodeToString(sum[:]); got != want {
				return media.Fail(media.ClassCredentials,
					fmt.Errorf("the camera's certificate has fingerprint %s, not the pinned one", got))
			}
			return nil
		}
	}
	return cfg
}

// certificateError says what is wrong with a certificate and what can be done.
func certificateError(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &invalid) {
		return media.Fail(media.ClassCredentials,
			fmt.Errorf("the camera's certificate is not trusted (%w); pin its fingerprint or set insecure", err))
	}
	return fmt.Errorf("cannot set up TLS: %w", err)
}
