package config

import (
	"crypto/tls"
	"path/filepath"

	"camrelay/media"
)

// certificateRef is a server's certificate and key that are still to be read.
type certificateRef struct {
	place     value // the section tls
	cert, key string
	into      *ServerTLS
}

// settle reads the files and checks that they belong together. Without l
// nothing is read.
func (ref certificateRef) settle(l *loader) {
	if l == nil {
		return
	}
	cert, ok := l.pem(ref.place, "cert_file", ref.cert, false)
	key, also := l.pem(ref.place, "key_file", ref.key, true)
	if !ok || !also {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		// The library's words may quote the files.
		l.lack(ref.place, "cert_file and key_file are no pair of a certificate and its key",
			"want PEM, BEGIN CERTIFICATE and BEGIN PRIVATE KEY")
		return
	}
	ref.into.Cert, ref.into.Key = string(cert), media.Secret(key)
}

// pem reads one of the files that a section tls names, or enters a mistake.
func (l *loader) pem(place value, key, path string, secret bool) ([]byte, bool) {
	place = place.d.place(place.key + "." + key)
	if !filepath.IsAbs(path) {
		path = filepath.Join(place.src.dir, path)
	}
	data, err := readFile(path, maxAuthorities)
	source := Source{Path: path, SHA256: sum(data, err), Secret: secret}
	if secret {
		source.SHA256 = l.salted(data, err)
	}
	l.sources = append(l.sources, source)
	switch {
	case err != nil:
		l.unreadable(place, path, path, err)
		return nil, false
	case len(data) > maxAuthorities:
		l.lack(place, "the file is larger than 256 KiB", "")
		return nil, false
	case secret && l.readable(path):
		place.warn("everybody on this box can read the file", "chmod o= "+path)
	}
	return data, true
}
