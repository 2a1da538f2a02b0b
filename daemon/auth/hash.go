package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// What Hash makes: the least that OWASP's cheat sheet on storing passwords asks
// for, since the box is small.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	sumLen  = 32
)

// Bounds of hashes that are accepted.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 64
	maxLanes  = 16
)

// hash is a password hash. The zero value is none.
type hash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

// Hash returns the PHC string of a password's argon2id hash with a new salt.
func Hash(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt) // it never fails
	h := hash{memory: memory, passes: passes, lanes: lanes, salt: salt, sum: make([]byte, sumLen)}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, memory, passes, lanes, b64(salt), b64(h.of(password)))
}

// NewToken returns a new token and the SHA-256 of it that a file holds.
func NewToken() (token, sum string) {
	raw := make([]byte, 32)
	rand.Read(raw) // it never fails
	token = base64.RawURLEncoding.EncodeToString(raw)
	s := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(s[:])
}

var (
	phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})` +
		`\$([A-Za-z0-9+/]{1,86})\$([A-Za-z0-9+/]{1,86})$`)
	errHash = errors.New("not a PHC string of argon2id that this box can bear")
)

// parseHash reads a PHC string of argon2id.
func parseHash(s string) (hash, error) {
	m := phc.FindStringSubmatch(s)
	if m == nil {
		return hash{}, errHash
	}
	numbers := [3]uint32{}
	for i, limit := range []uint64{maxMemory, maxPasses, maxLanes} {
		n, err := strconv.ParseUint(m[i+1], 10, 32)
		if err != nil || n < 1 || n > limit {
			return hash{}, errHash
		}
		numbers[i] = uint32(n)
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(m[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(m[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(sum) < 16 {
		return hash{}, errHash
	}
	return hash{numbers[0], numbers[1], uint8(numbers[2]), salt, sum}, nil
}

func (h hash) set() bool { return h.sum != nil }

func (h hash) equal(o hash) bool {
	return h.memory == o.memory && h.passes == o.passes && h.lanes == o.lanes &&
		bytes.Equal(h.salt, o.salt) && bytes.Equal(h.sum, o.sum)
}

// of returns the sum of a password under the hash's salt and costs.
func (h hash) of(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum)))
}

func (h hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password), h.sum) == 1
}

// maxLogins is how many attempts may wait for their turn.
const maxLogins = 16

// logins compares one password at a time: each costs the memory that its hash
// says. Equal attempts are one.
type logins struct {
	turn chan struct{}

	mu      sync.Mutex // guards running
	running map[[sha256.Size]byte]*login
}

// login is an attempt that waits or is being looked at. ok and err are set
// before done is closed, by the one who began it.
type login struct {
	done chan struct{}
	ok   bool
	err  error
}

func (l *logins) init() {
	l.turn = make(chan struct{}, 1)
	l.running = make(map[[sha256.Size]byte]*login)
}

// check tells whether the password is right. sum stands for name and password;
// begin is called if this is not an attempt that is under way already, and may
// refuse it.
func (l *logins) check(sum [sha256.Size]byte, h hash, password string, begin func() error) (bool, error) {
	l.mu.Lock()
	mine := l.running[sum]
	if mine != nil {
		l.mu.Unlock()
		<-mine.done
		return mine.ok, mine.err
	}
	if len(l.running) >= maxLogins {
		l.mu.Unlock()
		return false, ThrottledError{time.Second}
	}
	mine = &login{done: make(chan struct{})}
	l.running[sum] = mine
	l.mu.Unlock()
	if mine.err = begin(); mine.err == nil {
		l.turn <- struct{}{}
		mine.ok = h.matches(password)
		<-l.turn
	}
	l.mu.Lock()
	delete(l.running, sum)
	l.mu.Unlock()
	close(mine.done)
	return mine.ok, mine.err
}
