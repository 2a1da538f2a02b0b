package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/config"
	"camrelay/media"
)

// TestTheBoxHasACertificateOfItsOwn that stays, and is renewed in time with the
// same key.
func TestTheBoxHasACertificateOfItsOwn(t *testing.T) {
	dir, names, start := filepath.Join(t.TempDir(), "state"), []string{"box7", "box7.local"}, time.Now()
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	made := func(names []string, after time.Duration) *tls.Certificate {
		t.Helper()
		c, err := boxCertificate(dir, names, start.Add(after), log)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := made(names, 0)
	if st, err := os.Stat(filepath.Join(dir, boxFile)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if strings.Contains(said.String(), "PRIVATE") || !strings.Contains(said.String(), "sha256=") {
		t.Errorf("logged: %s", &said)
	}
	roots := x509.NewCertPool()
	roots.AddCert(first.Leaf)
	for _, name := range []string{"box7", "box7.local", "127.0.0.1", "::1"} {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
	for _, row := range []struct {
		name  string
		names []string
		after time.Duration
		same  bool
	}{
		{"after a restart", names, time.Hour, true},
		{"for fewer names", names[:1], time.Hour, true},
		{"while it is good for long enough", names, boxLife - boxRenew - time.Hour, true},
		{"for another name", []string{"box8"}, time.Hour, false},
		{"before its end", []string{"box8"}, boxLife - boxRenew + 2*time.Hour, false},
		{"by a clock that has not been set", []string{"box8"}, -20 * 365 * 24 * time.Hour, false},
	} {
		before, err := os.ReadFile(filepath.Join(dir, boxFile))
		if err != nil {
			t.Fatal(err)
		}
		c := made(row.names, row.after)
		after, err := os.ReadFile(filepath.Join(dir, boxFile))
		if err != nil || bytes.Equal(before, after) != row.same {
			t.Errorf("%s: the same %v, %v", row.name, bytes.Equal(before, after), err)
		}
		if !first.PrivateKey.(*ecdsa.PrivateKey).Equal(c.PrivateKey) {
			t.Errorf("%s: another key", row.name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, boxFile), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if made(names, 0).Leaf.Equal(first.Leaf) {
		t.Error("a broken one is still there")
	}
}

// echo serves TLS with a certificate that may be replaced: it says what it is told.
func echo(t *testing.T, c *certificate) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", c.config("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // until the client goes
			}()
		}
	}()
	return ln.Addr().String()
}

// shown is the certificate that a client sees who speaks TLS up to a version.
func shown(t *testing.T, addr string, most uint16) (*tls.Conn, []byte, error) {
	t.Helper()
	var d net.Dialer
	raw, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: most})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		return nil, nil, err
	}
	return conn, conn.ConnectionState().PeerCertificates[0].Raw, nil
}

// TestACertificateIsReplacedWhileTheServerRuns: who is connected stays, who comes
// sees the new one, and nobody speaks TLS 1.1.
func TestACertificateIsReplacedWhileTheServerRuns(t *testing.T) {
	var c certificate
	own := func() (*tls.Certificate, error) {
		return boxCertificate(t.TempDir(), []string{"box7"}, time.Now(), slog.New(slog.DiscardHandler))
	}
	if err := c.set(config.ServerTLS{Listen: ":1"}, own); err != nil {
		t.Fatal(err)
	}
	addr := echo(t, &c)
	stays, first, err := shown(t, addr, tls.VersionTLS13)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := own()
	if err != nil {
		t.Fatal(err)
	}
	text, err := signOwn(pair.PrivateKey.(*ecdsa.PrivateKey), []string{"box9"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	next := config.ServerTLS{Listen: ":1", Cert: string(text), Key: "no key"}
	if err := c.set(next, own); err == nil {
		t.Error("what is no pair is taken")
	}
	if _, same, err := shown(t, addr, tls.VersionTLS13); err != nil || !bytes.Equal(same, first) {
		t.Errorf("after a pair that is none: another certificate, %v", err)
	}
	next.Key = media.Secret(text)
	if err := c.set(next, own); err != nil {
		t.Fatal(err)
	}
	if _, second, err := shown(t, addr, tls.VersionTLS12); err != nil || bytes.Equal(second, first) {
		t.Errorf("who comes sees the old one, %v", err)
	}
	if _, err := stays.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := stays.Read(make([]byte, 1)); err != nil {
		t.Errorf("who was connected: %v", err)
	}
	if _, _, err := shown(t, addr, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}
