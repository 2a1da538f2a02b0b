// Package auth knows the users: their passwords, tokens, roles and cameras. It
// decides who may watch and who may use the API. It holds no sessions and
// speaks no protocol: servers hand it what a client presented, and get back who
// that is. All of it may be called from any goroutine.
//
// # Why
//
// Passwords are compared by argon2id, which costs a small box 20 MiB and tens of
// milliseconds. A player sends its password with every request, so the last good
// password of each user is remembered, as a sum under a key that exists in
// memory only. One password is compared at a time and few wait; who fails is made
// to wait longer each time. Tokens are long and random: their plain SHA-256 is
// enough.
package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// User is somebody who may log in.
type User struct {
	Name         string
	PasswordHash media.Secret   // PHC string of argon2id, as Hash makes it; empty: no password lets in
	TokenHashes  []media.Secret // SHA-256 of the token's text, hexadecimal
	DigestHashes []media.Secret // as DigestHash makes them, of the password and of tokens
	Role         Role
	Cameras      []string // paths; nil: all
}

// Rules say who may do what.
type Rules struct {
	Open  bool // anybody may watch who reaches a port
	Users []User
	Hosts []string // names of the box besides those that OwnName knows
	RTSP  Proof    // empty: ProofAuto
}

// Credentials are what a client presented.
type Credentials struct {
	User, Password string
	Token          string
	Digest         *hub.Digest // of User's password or token; nil: none
	Remote         string      // host:port, or host
}

// given tells whether there is anything to check.
func (c Credentials) given() bool {
	return c.User != "" || c.Password != "" || c.Token != "" || c.Digest != nil
}

// ThrottledError is the error of an attempt that was not looked at because too many
// have failed, or are being looked at. It is a hub.ErrUnavailable.
type ThrottledError struct{ After time.Duration } // when to try again

// Error implements error.
func (t ThrottledError) Error() string { return "too many logins have failed, try again later" }

// RetryAfter returns After, for servers that know of no users.
func (t ThrottledError) RetryAfter() time.Duration { return t.After }

// Unwrap returns hub.ErrUnavailable.
func (t ThrottledError) Unwrap() error { return hub.ErrUnavailable }

// Access applies the rules. Until Set nobody may watch.
type Access struct {
	log     *slog.Logger
	key     [sha256.Size]byte // of the sums of passwords
	linkKey [sha256.Size]byte
	book    atomic.Pointer[book]
	logins  logins
	failing throttle
}

// book is the rules, made ready for looking up. It is not changed any more.
type book struct {
	known  bool // what the rules are: false until Set
	open   bool
	hosts  []string
	digest bool // is offered by RTSP
	basic  bool // is
	users  map[string]*account
	tokens map[[sha256.Size]byte]*account
	decoy  hash // takes as long as a user's; for names that there are not
}

// account is one user.
type account struct {
	Principal
	hash   hash
	tokens map[[sha256.Size]byte]bool
	proofs []proof
	secret credentialID                      // of the password
	ids    map[credentialID]bool             // of the password and of all tokens
	good   atomic.Pointer[[sha256.Size]byte] // sum of the last password that was right; nil: none yet
}

// New returns an Access without rules. It logs when logins begin to fail.
func New(log *slog.Logger) *Access {
	a := &Access{log: log}
	rand.Read(a.key[:])     // it never fails
	rand.Read(a.linkKey[:]) // until KeepLinks
	a.logins.init()
	a.book.Store(&book{})
	return a
}

// Set replaces the rules. It returns a function that tells which viewers have
// lost their right, by the name that View has given them (empty: nobody's) and
// the camera they watch: their user is gone, may not see that camera any more,
// or has lost the password or a token, one of which they came by. An error names
// users whose hashes cannot be read; they cannot log in by them.
func (a *Access) Set(r Rules) (gone func(user, camera string) bool, err error) {
	next := &book{
		known: true, open: r.Open, hosts: hostsOf(r.Hosts),
		users: make(map[string]*account), tokens: make(map[[sha256.Size]byte]*account),
	}
	old := a.book.Load()
	for _, u := range r.Users {
		acc, bad := newAccount(u)
		if bad != nil && err == nil {
			err = bad
		}
		if before := old.users[u.Name]; before != nil && before.hash.equal(acc.hash) {
			acc.good.Store(before.good.Load())
		}
		next.users[u.Name] = acc
		for sum := range acc.tokens {
			next.tokens[sum] = acc
		}
		if !next.decoy.set() {
			next.decoy = acc.hash
		}
	}
	next.digest, next.basic = r.schemes()
	a.book.Store(next)
	return func(user, camera string) bool { return lost(old.users[user], next, user, camera) }, err
}

func newAccount(u User) (*account, error) {
	acc := &account{
		Principal: newPrincipal(u), tokens: make(map[[sha256.Size]byte]bool), ids: make(map[credentialID]bool),
	}
	var err error
	if u.PasswordHash != "" {
		if acc.hash, err = parseHash(u.PasswordHash.Reveal()); err != nil {
			err = fmt.Errorf("cannot read the password hash of user %s: %w", u.Name, err)
		}
		sum := sha256.Sum256([]byte(u.PasswordHash.Reveal()))
		acc.secret = credentialID(sum[:8])
		acc.ids[acc.secret] = true
	}
	for _, t := range u.TokenHashes {
		sum, e := hex.DecodeString(t.Reveal())
		if e != nil || len(sum) != sha256.Size {
			err = fmt.Errorf("cannot read a token hash of user %s", u.Name)
			continue
		}
		acc.tokens[[sha256.Size]byte(sum)] = true
		acc.ids[credentialID(sum[:8])] = true
	}
	for _, d := range u.DigestHashes {
		p, ok := parseProof(d.Reveal())
		if !ok {
			err = fmt.Errorf("cannot read a digest hash of user %s", u.Name)
			continue
		}
		acc.proofs = append(acc.proofs, p)
	}
	return acc, err
}

// lost tells whether a viewer who came by the account before has no right left.
func lost(before *account, now *book, user, camera string) bool {
	if now.open {
		return false
	}
	acc := now.users[user]
	if acc == nil || !acc.MayView(camera) {
		return true
	}
	if before == nil {
		return false
	}
	for sum := range before.tokens {
		if !acc.tokens[sum] {
			return true
		}
	}
	for _, p := range before.proofs {
		if !slices.Contains(acc.proofs, p) {
			return true
		}
	}
	return before.hash.set() && !before.hash.equal(acc.hash)
}

// View tells who wants to read a stream. Its Path empty, it asks for none yet.
// The error is hub.ErrDenied if other credentials could help, hub.ErrForbidden
// if this user may not see the camera, or ThrottledError.
func (a *Access) View(req hub.Request) (Principal, error) {
	if a.book.Load().open {
		return Principal{all: true}, nil
	}
	if IsLink(req.Token) {
		p, err := a.byLink(req.Token, time.Now())
		if err == nil && req.Path != "" && !p.MayView(req.Path) {
			return Principal{}, hub.ErrForbidden
		}
		return p, err
	}
	c := Credentials{
		User: req.User, Password: req.Password, Token: req.Token, Digest: req.Digest, Remote: req.Remote,
	}
	if c.Token == "" {
		c.Token = req.Query.Get("token") // for players that send no headers
	}
	p, err := a.Authenticate(c)
	switch {
	case err != nil:
		return Principal{}, err
	case req.Path != "" && !p.MayView(req.Path):
		return Principal{}, hub.ErrForbidden
	}
	return p, nil
}

// Enter tells who uses the API. local is a client on this box: as long as there
// are no users it needs no credentials and may do everything, or only read while
// the rules are not known yet. The error is hub.ErrDenied or ThrottledError.
func (a *Access) Enter(c Credentials, local bool) (Principal, error) {
	if b := a.book.Load(); local && !b.known {
		return Principal{Role: RoleViewer, all: true}, nil
	} else if local && len(b.users) == 0 {
		return Principal{Role: RoleAdmin, all: true}, nil
	}
	return a.Authenticate(c)
}

// Authenticate tells whose credentials these are. The error is hub.ErrDenied,
// the same for a wrong name and a wrong password, or ThrottledError.
func (a *Access) Authenticate(c Credentials) (Principal, error) {
	b := a.book.Load()
	if !c.given() || len(b.users) == 0 {
		return Principal{}, hub.ErrDenied
	}
	if c.Digest != nil {
		return a.digest(b, c)
	}
	// Who knows no headers but those of a password may send a token as one.
	for _, token := range []string{c.Token, c.Password} {
		if token == "" {
			continue
		}
		// Looking up a SHA-256 tells nothing about tokens that have not been guessed.
		sum := sha256.Sum256([]byte(token))
		if acc := b.tokens[sum]; acc != nil && (c.User == "" || c.User == acc.Name) {
			return acc.with(credentialID(sum[:8])), nil
		}
	}
	if c.User == "" || c.Password == "" || len(c.Password) > maxPassword {
		return Principal{}, hub.ErrDenied
	}
	acc := b.users[c.User]
	if err := a.password(b, acc, c); err != nil {
		return Principal{}, err
	}
	return acc.with(acc.secret), nil
}

// Open tells whether anybody may watch.
func (a *Access) Open() bool { return a.book.Load().open }

// with is who has shown that credential.
func (acc *account) with(by credentialID) Principal {
	p := acc.Principal
	p.by = by
	return p
}

// maxPassword bounds what is hashed for a stranger.
const maxPassword = 1024

// password checks the password of an account, nil for a name that there is not.
func (a *Access) password(b *book, acc *account, c Credentials) error {
	h := b.decoy
	if acc != nil && acc.hash.set() {
		h = acc.hash
	}
	if !h.set() {
		return hub.ErrDenied // nobody has one
	}
	address := addressOf(c.Remote)
	who := client{address, c.User}
	now := time.Now()
	if wait := a.failing.wait(who, now); wait > 0 {
		return ThrottledError{wait}
	}
	sum := a.sum(c)
	if acc != nil {
		if good := acc.good.Load(); good != nil && hmac.Equal(good[:], sum[:]) {
			return nil
		}
	}
	// Entered before it is known: many at once must not be one attempt.
	ok, err := a.logins.check(sum, h, c.Password, func() error { return a.attempt(who, now) })
	if err != nil {
		return err
	}
	if !ok || acc == nil || !acc.hash.set() {
		return hub.ErrDenied
	}
	a.failing.forgive(who)
	acc.good.Store(&sum)
	return nil
}

// attempt enters an attempt that may fail, unless the client has to wait.
func (a *Access) attempt(who client, now time.Time) error {
	for _, key := range []client{{who.address, ""}, who} {
		wait, began := a.failing.try(key, now)
		if wait > 0 {
			return ThrottledError{wait}
		}
		if began {
			a.log.Warn("logins fail", "remote", who.address)
		}
	}
	return nil
}

// sum is what is remembered of a password.
func (a *Access) sum(c Credentials) [sha256.Size]byte {
	h := hmac.New(sha256.New, a.key[:])
	fmt.Fprintf(h, "%d %s%s", len(c.User), c.User, c.Password)
	return [sha256.Size]byte(h.Sum(nil))
}
