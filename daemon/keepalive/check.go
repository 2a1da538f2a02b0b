package keepalive

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ValidID tells whether a text can name a lease: a UUID as RFC 9562 §4 writes it.
func ValidID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil }

// ValidPath tells whether a text can name a path: elements of letters, digits
// and "_", "-", "." or "~", separated by slashes; none is "." or "..".
func ValidPath(path string) bool {
	if len(path) > maxPath {
		return false
	}
	for element := range strings.SplitSeq(path, "/") {
		if strings.Trim(element, ".") == "" || strings.ContainsFunc(element, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.~", r)
		}) {
			return false
		}
	}
	return true
}

// check refuses what no lease can be.
func (r Request) check() error {
	switch {
	case !ValidPath(r.Path):
		return &InvalidError{"invalid path name"}
	case len(r.Label) > MaxLabel || !utf8.ValidString(r.Label) || strings.ContainsFunc(r.Label, unicode.IsControl):
		return &InvalidError{fmt.Sprintf("label is to be text of at most %d bytes in one line", MaxLabel)}
	case r.Priority < 0 || r.Priority > MaxPriority:
		return &InvalidError{fmt.Sprintf("priority is to be 0 to %d", MaxPriority)}
	}
	return checkTTL(r.TTL)
}

// checkTTL refuses a time to live out of bounds; 0 is none.
func checkTTL(ttl time.Duration) error {
	if ttl != 0 && (ttl < MinTTL || ttl > MaxTTL) {
		return &InvalidError{fmt.Sprintf("ttl is to be %v to %v", MinTTL, MaxTTL)}
	}
	return nil
}

// owns tells whether c may change a lease. Nobody owns what was added
// anonymously; who is anonymous never outranks somebody with a name.
func (c Caller) owns(l Lease) bool {
	return l.CreatorUser == "" || c.User != "" && (c.Admin || c.User == l.CreatorUser)
}

// name is c for people.
func (c Caller) name() string {
	switch {
	case c.User != "":
		return c.User
	case c.IP != "":
		return c.IP
	}
	return "somebody on this box"
}
