package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"camrelay/media"
)

// maxSecret is the greatest number of bytes of a secret's file.
const maxSecret = 4096

// secretKind is where a secret comes from.
type secretKind uint8

const (
	literal secretKind = iota
	credential
	inFile
)

// secretRef is a secret that is still to be found.
type secretRef struct {
	place     value
	kind      secretKind
	name      string // of the credential or file; the secret itself if literal
	low, high int    // bytes
	set       func(media.Secret)
}

var reference = regexp.MustCompile(`^\$\{cred:([A-Za-z0-9_][A-Za-z0-9_.-]*)\}$`)

// secret takes a secret of low to high bytes, or a reference to a credential.
func (d *decoder) secret(low, high int, set func(media.Secret)) func(value) {
	return func(v value) {
		s, ok := v.text()
		if !ok {
			return
		}
		ref := secretRef{place: v, kind: literal, name: s, low: low, high: high, set: set}
		if m := reference.FindStringSubmatch(s); m != nil {
			ref.kind, ref.name = credential, m[1]
		} else if strings.Contains(s, "${cred:") {
			v.fail("not a reference to a credential", "want ${cred:name} and nothing else")
			return
		}
		d.secrets = append(d.secrets, ref)
	}
}

// secretFile takes the name of a file that holds a secret.
func (d *decoder) secretFile(low, high int, set func(media.Secret)) func(value) {
	return func(v value) {
		var name string
		if str(&name, 4096)(v); name != "" {
			d.secrets = append(d.secrets, secretRef{place: v, kind: inFile, name: name, low: low, high: high, set: set})
		}
	}
}

// settle finds the secret and hands it over. Without l only literals are found.
func (ref secretRef) settle(l *loader) {
	s := ref.name
	if ref.kind != literal {
		if l == nil {
			return
		}
		var ok bool
		if s, ok = l.resolve(ref); !ok {
			return
		}
	}
	if len(s) < ref.low || len(s) > ref.high || strings.ContainsAny(s, "\r\n\x00") {
		ref.place.failf("the secret must have %d to %d bytes in one line", ref.low, ref.high)
		return
	}
	if l != nil && ref.kind == literal && l.readable(ref.place.src.name) {
		ref.place.warn("a secret in a file that everybody on this box can read", "chmod o= "+ref.place.src.name)
	}
	ref.set(media.Secret(s))
}

// resolve finds what a reference names, or enters a mistake.
func (l *loader) resolve(ref secretRef) (string, bool) {
	path, what := ref.name, "the file"
	switch {
	case ref.kind == credential && l.CredentialsDir == "":
		ref.place.fail(fmt.Sprintf("there is no credential %q", ref.name), "systemd passes credentials by LoadCredential=")
		return "", false
	case ref.kind == credential:
		path, what = filepath.Join(l.CredentialsDir, ref.name), fmt.Sprintf("credential %q", ref.name)
	case !filepath.IsAbs(path):
		path = filepath.Join(filepath.Dir(ref.place.src.name), path)
	}
	data, err := readFile(path, maxSecret)
	l.sources = append(l.sources, Source{Path: path, SHA256: l.salted(data, err), Secret: true})
	if err != nil {
		ref.place.failf("cannot read %s: %s", what, reason(err))
		return "", false
	}
	if ref.kind == inFile && l.readable(path) {
		ref.place.warn("everybody on this box can read the file", "chmod o= "+path)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), true
}

// readable tells whether everybody on the box can read the file.
func (*loader) readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o004 != 0
}

// salted is the sum of a secret that can be compared and not guessed at.
func (l *loader) salted(data []byte, err error) string {
	if err != nil || len(l.Salt) == 0 {
		return ""
	}
	h := hmac.New(sha256.New, l.Salt)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
