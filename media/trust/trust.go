// Package trust says whose certificate is taken when we are the client of a
// TLS connection: the pinned one, any, one of given authorities, or one of the
// system's. It dials nobody. Everything in it may be called from any goroutine.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
)

// Peer is the other side of a connection, as its owner wants it.
type Peer struct {
	Host     string // name or address that is dialled, with or without zone
	Insecure bool   // take any certificate
	CA       string // PEM of the authorities to trust; those of the system if empty
	// Fingerprint is the SHA-256 of a certificate in hex, colons and spaces
	// allowed: that one alone is taken, whatever its name and date.
	Fingerprint string
}

// Config returns the configuration of a client, a new one each time. Its errors
// and those of the handshake are of class media.ClassUnsupported, where Explain
// has seen the latter.
func (p Peer) Config() (*tls.Config, error) {
	name, _, _ := strings.Cut(p.Host, "%")
	cfg := &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: p.Insecure || p.Fingerprint != "", // on request; a pin is checked below
	}
	if p.CA != "" {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(p.CA)) {
			return nil, unsupported("the authorities are not in PEM")
		}
	}
	if p.Fingerprint == "" {
		return cfg, nil
	}
	want, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(p.Fingerprint))
	if err != nil || len(want) != sha256.Size {
		return nil, unsupported("the fingerprint is not a SHA-256 in hex")
	}
	cfg.VerifyConnection = func(st tls.ConnectionState) error {
		if got := sha256.Sum256(st.PeerCertificates[0].Raw); got != [sha256.Size]byte(want) {
			return unsupported(fmt.Sprintf("the certificate is not the pinned one: it has fingerprint %x", got))
		}
		return nil
	}
	return cfg, nil
}

// Explain says what is wrong when a handshake has failed with err, and what can
// be done. It marks what another attempt soon will not cure; a certificate that
// is not valid yet may be valid once the box's clock has been set.
func Explain(err error) error {
	var untrusted *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	var other tls.RecordHeaderError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return fmt.Errorf("the certificate is not valid now (%w); pin its fingerprint or set insecure", err)
	case errors.As(err, &name) && namesOf(name.Certificate) != "":
		return media.Fail(media.ClassUnsupported, fmt.Errorf("the certificate is for %s, not for %s; "+
			"use that name, pin the fingerprint or set insecure", namesOf(name.Certificate), name.Host))
	case errors.As(err, &untrusted):
		return media.Fail(media.ClassUnsupported,
			fmt.Errorf("the certificate is not trusted (%w); pin its fingerprint or set insecure", err))
	case errors.As(err, &other):
		return media.Fail(media.ClassUnsupported, fmt.Errorf("the other side does not speak TLS (%w)", err))
	}
	return fmt.Errorf("cannot agree on TLS: %w", err)
}

// namesOf returns the names in a certificate, shortened and printable; empty if
// there are none.
func namesOf(c *x509.Certificate) string {
	const most = 3
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return ""
	}
	more := ""
	if len(names) > most {
		names, more = names[:most], " and others"
	}
	for i, n := range names {
		names[i] = strings.Trim(strconv.QuoteToASCII(n), `"`)
	}
	return strings.Join(names, ", ") + more
}

func unsupported(text string) error { return media.Fail(media.ClassUnsupported, errors.New(text)) }
