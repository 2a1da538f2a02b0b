package trust_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/mediatest"
	"camrelay/media/trust"
)

// handshake lets a server with that certificate meet a client of p, and
// returns what the client makes of it.
func handshake(t *testing.T, cert tls.Certificate, p trust.Peer) error {
	t.Helper()
	cfg, err := p.Config()
	if err != nil {
		return err
	}
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
		_ = server.HandshakeContext(t.Context()) // what the client says counts
		_, _ = server.Read(make([]byte, 1))
	}()
	err = tls.Client(here, cfg).HandshakeContext(t.Context())
	_ = here.Close()
	<-done
	if err != nil {
		return trust.Explain(err)
	}
	return nil
}

func TestTrust(t *testing.T) {
	good, ca, _ := mediatest.Certificate(t, net.IPv6loopback, time.Now().Add(-time.Minute))
	early, earlyCA, _ := mediatest.Certificate(t, net.IPv6loopback, time.Now().Add(24*time.Hour))
	stale, staleCA, _ := mediatest.Certificate(t, net.IPv6loopback, time.Now().Add(-24*time.Hour))
	_, strangers, _ := mediatest.Certificate(t, net.IPv6loopback, time.Now().Add(-time.Minute))
	sum := sha256.Sum256(good.Certificate[0])
	pin := hex.EncodeToString(sum[:])
	const unsupported = media.ClassUnsupported
	for name, tc := range map[string]struct {
		cert  tls.Certificate
		peer  trust.Peer
		class media.Class
		text  string // of the error; empty: the certificate is taken
	}{
		"an authority":                   {good, trust.Peer{Host: "::1", CA: ca}, 0, ""},
		"a zone is no part of the name":  {good, trust.Peer{Host: "::1%eth0", CA: ca}, 0, ""},
		"another host":                   {good, trust.Peer{Host: "::2", CA: ca}, unsupported, "is for ::1, not for ::2"},
		"another authority":              {good, trust.Peer{Host: "::1", CA: strangers}, unsupported, "not trusted"},
		"the system's authorities":       {good, trust.Peer{Host: "::1"}, unsupported, "unknown authority"},
		"any certificate":                {good, trust.Peer{Insecure: true}, 0, ""},
		"a pin":                          {good, trust.Peer{Host: "::2", Fingerprint: pin}, 0, ""},
		"a pin as openssl prints it":     {good, trust.Peer{Fingerprint: strings.ToUpper(pin[:2] + ":" + pin[2:])}, 0, ""},
		"another pin":                    {early, trust.Peer{Fingerprint: pin}, unsupported, "one: it has fingerprint"},
		"another pin, any certificate":   {early, trust.Peer{Fingerprint: pin, Insecure: true}, unsupported, "the pinned"},
		"half a pin":                     {good, trust.Peer{Fingerprint: pin[:32]}, unsupported, "not a SHA-256"},
		"no authority at all":            {good, trust.Peer{CA: "x"}, unsupported, "not in PEM"},
		"a clock that is behind":         {early, trust.Peer{Host: "::1", CA: earlyCA}, media.ClassNetwork, "not valid now"},
		"a certificate that has expired": {stale, trust.Peer{Host: "::1", CA: staleCA}, unsupported, "not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			err := handshake(t, tc.cert, tc.peer)
			switch {
			case tc.text == "" && err != nil:
				t.Errorf("got %v", err)
			case tc.text == "":
			case err == nil || !strings.Contains(err.Error(), tc.text) || media.ClassOf(err) != tc.class:
				t.Errorf("got %v, class %v", err, media.ClassOf(err))
			}
		})
	}
}

func TestAPeerWithoutTLS(t *testing.T) {
	cfg, err := trust.Peer{Insecure: true}.Config()
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = there.Read(make([]byte, 64<<10)) // all of the client's first record
		_, _ = there.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_ = there.Close()
	}()
	err = trust.Explain(tls.Client(here, cfg).HandshakeContext(t.Context()))
	<-done
	if media.ClassOf(err) != media.ClassUnsupported || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("got %v, class %v", err, media.ClassOf(err))
	}
}
