package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	gohash "hash"
	"strings"
	"time"

	"camrelay/media/hub"
)

// Proof is how RTSP players may show who they are.
type Proof string

// The values of Proof.
const (
	ProofAuto   Proof = "auto"   // by digest too, if everybody can
	ProofBasic  Proof = "basic"  // by the password itself
	ProofDigest Proof = "digest" // never by the password itself
)

// proof is what is known of a secret to check a digest of it: the sums of user,
// realm and secret (RFC 7616 §3.4.2). Who has it can log in by digest, and by
// nothing else.
type proof struct{ md5, sha256 string }

// DigestHash returns what a file holds so that the user can show by RTSP digest
// the knowledge of a password or a token: the sums by MD5 and by SHA-256, with a
// colon between them.
func DigestHash(user, secret string) string {
	text := user + ":" + hub.Realm + ":" + secret
	return hexOf(md5.New(), text) + ":" + hexOf(sha256.New(), text)
}

func hexOf(h gohash.Hash, text string) string {
	h.Write([]byte(text)) // it never fails
	return hex.EncodeToString(h.Sum(nil))
}

func parseProof(s string) (proof, bool) {
	m, s2, ok := strings.Cut(s, ":")
	if !ok || !isHex(m, md5.Size) || !isHex(s2, sha256.Size) {
		return proof{}, false
	}
	return proof{m, s2}, true
}

func isHex(s string, size int) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == size && strings.ToLower(s) == s
}

// schemes tells what RTSP offers. Players that are offered digest use it, and
// only it: so nobody who logs in by a password or a token may lack its sums.
func (r Rules) schemes() (digest, basic bool) {
	switch r.RTSP {
	case ProofBasic:
		return false, true
	case ProofDigest:
		return true, false
	}
	some := false
	for _, u := range r.Users {
		secrets := len(u.TokenHashes)
		if u.PasswordHash != "" {
			secrets++
		}
		if len(u.DigestHashes) < secrets {
			return false, true
		}
		some = some || len(u.DigestHashes) > 0
	}
	return some, true
}

// Schemes tells by what RTSP players may show who they are.
func (a *Access) Schemes() (digest, basic bool) {
	b := a.book.Load()
	return b.digest, b.basic || !b.known
}

// digest tells whose digest that is. A wrong one counts as a wrong password.
func (a *Access) digest(b *book, c Credentials) (Principal, error) {
	acc, who, now := b.users[c.User], client{addressOf(c.Remote), c.User}, time.Now()
	if wait := a.failing.wait(who, now); wait > 0 {
		return Principal{}, ThrottledError{wait}
	}
	if acc != nil {
		for _, p := range acc.proofs {
			if p.answers(c.Digest) {
				return acc.Principal, nil
			}
		}
	}
	if err := a.attempt(who, now); err != nil {
		return Principal{}, err
	}
	return Principal{}, hub.ErrDenied
}

// answers tells whether d is the response of who knows the secret.
func (p proof) answers(d *hub.Digest) bool {
	h, secret := md5.New, p.md5
	if d.SHA256 {
		h, secret = sha256.New, p.sha256
	}
	want := hexOf(h(), secret+":"+d.Nonce+":"+hexOf(h(), d.Method+":"+d.URI))
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(d.Response))) == 1
}
