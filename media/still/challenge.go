package still

import (
	"crypto/md5" // most cameras know no other
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// challenge is one element of WWW-Authenticate (RFC 9110 §11.6.1).
type challenge struct {
	scheme string            // in lower case
	params map[string]string // names in lower case, values without quotes
}

// Bounds of what is believed.
const (
	maxChallenges = 16
	maxParams     = 32
)

// parseChallenges returns the challenges in the lines of a header. Cameras put
// several into one line, or each into a line of its own.
func parseChallenges(lines []string) []challenge {
	var all []challenge
	for _, l := range lines {
		for s := (scanner{l}); s.more(); {
			word := strings.ToLower(s.token())
			if s.equals() {
				if value := s.value(); len(all) > 0 {
					all[len(all)-1].set(word, value)
				}
				continue
			}
			if len(all) == maxChallenges {
				return all
			}
			all = append(all, challenge{word, make(map[string]string)})
		}
	}
	return all
}

// set adds a parameter. The first of a name counts.
func (c challenge) set(name, value string) {
	if _, twice := c.params[name]; !twice && len(c.params) < maxParams {
		c.params[name] = value
	}
}

// scanner reads a header.
type scanner struct{ rest string }

// more passes over everything up to the next token, false if there is none.
func (s *scanner) more() bool {
	for s.rest != "" && !isToken(s.rest[0]) {
		s.rest = s.rest[1:]
	}
	return s.rest != ""
}

// token returns the token that follows (RFC 9110 §5.6.2).
func (s *scanner) token() string {
	n := 0
	for n < len(s.rest) && isToken(s.rest[n]) {
		n++
	}
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~/", c) >= 0
}

// equals passes over an equals sign if one follows.
func (s *scanner) equals() bool {
	rest := strings.TrimLeft(s.rest, " \t")
	if !strings.HasPrefix(rest, "=") {
		return false
	}
	s.rest = strings.TrimLeft(rest[1:], " \t")
	return true
}

// value returns a token or a quoted string without its quotes.
func (s *scanner) value() string {
	if !strings.HasPrefix(s.rest, `"`) {
		n := strings.IndexAny(s.rest, ", \t")
		if n < 0 {
			n = len(s.rest)
		}
		v := s.rest[:n]
		s.rest = s.rest[n:]
		return v
	}
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return b.String()
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	s.rest = ""
	return b.String()
}

// stale tells whether a camera asks again only since its nonce has run out.
func stale(all []challenge) bool {
	for _, c := range all {
		if strings.EqualFold(c.params["stale"], "true") {
			return true
		}
	}
	return false
}

// authorize returns the answer to the strongest challenge that is known: Digest
// with SHA-256, Digest with MD5, Basic; empty if there is none.
func authorize(all []challenge, user, password, uri string) string {
	best, rank := challenge{}, 0
	for _, c := range all {
		if r := c.rank(); r > rank {
			best, rank = c, r
		}
	}
	switch rank {
	case 0:
		return ""
	case basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	return best.digest(user, password, uri, rand.Text())
}

// Ranks of challenges; 0 is one that is not known.
const (
	basic = iota + 1
	digestMD5
	digestSHA256
)

func (c challenge) rank() int {
	algorithm := strings.ToUpper(strings.TrimSuffix(strings.ToLower(c.params["algorithm"]), "-sess"))
	switch {
	case c.scheme == "basic":
		return basic
	case c.scheme != "digest" || c.params["nonce"] == "" || !c.knowsQOP():
		return 0
	case algorithm == "SHA-256":
		return digestSHA256
	case algorithm == "MD5", algorithm == "":
		return digestMD5
	}
	return 0
}

// knowsQOP tells whether the quality of protection is one that we have: auth,
// or none (RFC 2069).
func (c challenge) knowsQOP() bool {
	all, ok := c.params["qop"]
	return !ok || c.has(all, "auth")
}

func (c challenge) has(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(w), word) {
			return true
		}
	}
	return false
}

// digest returns the credentials for a GET of uri (RFC 7616 §3.4).
func (c challenge) digest(user, password, uri, cnonce string) string {
	hash := func(parts ...string) string {
		text := []byte(strings.Join(parts, ":"))
		if c.rank() == digestSHA256 {
			sum := sha256.Sum256(text)
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum(text) // as above
		return hex.EncodeToString(sum[:])
	}
	const count = "00000001"
	realm, nonce := c.params["realm"], c.params["nonce"]
	a1 := hash(user, realm, password)
	if strings.HasSuffix(strings.ToLower(c.params["algorithm"]), "-sess") {
		a1 = hash(a1, nonce, cnonce)
	}
	a2 := hash("GET", uri)
	_, qop := c.params["qop"]
	response := hash(a1, nonce, a2)
	if qop {
		response = hash(a1, nonce, count, cnonce, "auth", a2)
	}
	var b strings.Builder
	b.WriteString("Digest username=" + quote(user) + ", realm=" + quote(realm) + ", nonce=" + quote(nonce) +
		", uri=" + quote(uri) + ", response=" + quote(response))
	if a := c.params["algorithm"]; a != "" {
		b.WriteString(", algorithm=" + shown(a))
	}
	if o, ok := c.params["opaque"]; ok {
		b.WriteString(", opaque=" + quote(o))
	}
	if qop {
		b.WriteString(", qop=auth, nc=" + count + ", cnonce=" + quote(cnonce))
	}
	return b.String()
}

// quote returns s as a quoted string. What has no place in a header is left out.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= ' ' && c != 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
