package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"camrelay/daemon/durable"
)

// boxFile holds, in the state directory, the box's own certificate and its key.
const boxFile = "box.pem"

const (
	boxLife   = 824 * 24 * time.Hour // phones take none for longer
	boxRenew  = 30 * 24 * time.Hour  // before its end
	boxBefore = 24 * time.Hour       // clocks of clients differ
)

// boxNames are the names that the box's own certificate is for.
func boxNames() []string {
	name, err := os.Hostname()
	if err != nil || name == "" || name == "localhost" {
		return []string{"camrelay.local", "localhost"}
	}
	return []string{name, name + ".local", "camrelay.local", "localhost"}
}

// boxCertificate returns the box's own certificate, which nobody but the box has
// signed: that of the state directory if it is for all names and good for long
// enough, else a new one with the same key, so that who trusts the key goes on.
func boxCertificate(dir string, names []string, now time.Time, log *slog.Logger) (*tls.Certificate, error) {
	raw, err := os.ReadFile(filepath.Join(dir, boxFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("the box's own certificate is made anew", "err", err)
	}
	before, err := tls.X509KeyPair(raw, raw)
	if err == nil && isGood(before.Leaf, names, now) {
		return &before, nil
	}
	key, ok := before.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("cannot make a key: %w", err)
		}
	}
	text, err := signOwn(key, names, now)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	if err := durable.Replace(dir, boxFile, text); err != nil {
		log.Warn("the box's own certificate will be another after a restart", "err", err)
	}
	sum := sha256.Sum256(pair.Leaf.Raw)
	log.Info("the box has a certificate of its own", "sha256", hex.EncodeToString(sum[:]),
		"until", pair.Leaf.NotAfter.Format(time.DateOnly))
	return &pair, nil
}

func isGood(leaf *x509.Certificate, names []string, now time.Time) bool {
	return leaf != nil && !now.Before(leaf.NotBefore) && now.Add(boxRenew).Before(leaf.NotAfter) &&
		!slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(leaf.DNSNames, n) })
}

// signOwn returns a certificate of the key, and the key, as PEM.
func signOwn(key *ecdsa.PrivateKey, names []string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0], Organization: []string{"camrelay"}},
		NotBefore: now.Add(-boxBefore), NotAfter: now.Add(boxLife), DNSNames: names, IPAddresses: ownAddresses(),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, // so that a phone can be told to trust it
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...), nil
}

// ownAddresses are the addresses that the box has now, link-local ones left out.
func ownAddresses() []net.IP {
	all := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return all // its names are left
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			all = append(all, n.IP)
		}
	}
	return all
}
