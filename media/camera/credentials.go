package camera

import (
	"log/slog"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
)

// credentials signs the requests of one connection. Before PLAY is answered it
// is used by gortsplib's goroutine and by that which waits for it, in turns;
// later by the former only.
type credentials struct {
	target target
	splice *Splice
	log    *slog.Logger

	sender   *auth.Sender // nil until the camera has asked
	signed   bool         // the last request was signed
	accepted bool         // a signed request has been accepted
	again    bool         // the last request may succeed if it is repeated
}

// sign adds what the camera has asked for.
func (c *credentials) sign(req *base.Request) {
	if c.signed = c.sender != nil; c.signed {
		c.sender.AddAuthorization(req)
	}
}

// answered takes note of the answer to the last request. Refused credentials
// are worth another try if the request was not signed, or signed with a nonce
// that has run out.
func (c *credentials) answered(res *base.Response) {
	c.again = false
	if res.StatusCode != base.StatusUnauthorized {
		c.accepted = c.accepted || c.signed && res.StatusCode == base.StatusOK
		return
	}
	all := challenges(res.Header["WWW-Authenticate"])
	if c.target.user == "" {
		return
	}
	s := &auth.Sender{WWWAuth: all, User: c.target.user, Pass: c.target.password}
	if s.Initialize() != nil {
		return
	}
	c.warn(all)
	c.again = !c.signed || c.accepted || stale(all)
	c.sender, c.accepted = s, false
}

// challenges returns one challenge for each element, in the spelling that
// gortsplib understands. Some cameras put several in one line.
func challenges(lines base.HeaderValue) base.HeaderValue {
	var all base.HeaderValue
	for _, l := range lines {
		quoted, begin := false, 0
		for i := 0; i <= len(l); i++ {
			switch {
			case i == len(l) || l[i] == ',' && !quoted && scheme(l[i+1:]) != "":
				all = append(all, spelt(l[begin:i]))
				begin = i + 1
			case l[i] == '"':
				quoted = !quoted
			}
		}
	}
	return all
}

// spelt writes the scheme of a challenge as the standard does.
func spelt(challenge string) string {
	challenge = strings.TrimSpace(challenge)
	if s := scheme(challenge); s != "" {
		return s + challenge[len(s):]
	}
	return challenge
}

// scheme returns the scheme of a challenge, empty if it is none that is known.
func scheme(challenge string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
	for _, s := range []string{"Basic", "Digest"} {
		if strings.EqualFold(word, s) {
			return s
		}
	}
	return ""
}

func stale(all base.HeaderValue) bool {
	for _, c := range all {
		var h headers.Authenticate
		if h.Unmarshal(base.HeaderValue{c}) == nil && h.Stale != nil && strings.EqualFold(*h.Stale, "true") {
			return true
		}
	}
	return false
}

// warn tells once that the password goes out in clear, if it will.
func (c *credentials) warn(all base.HeaderValue) {
	for _, v := range all {
		var h headers.Authenticate
		if h.Unmarshal(base.HeaderValue{v}) == nil && h.Method == headers.AuthMethodDigest {
			return
		}
	}
	if !c.splice.warn && !c.target.tls {
		c.splice.warn = true
		c.log.Warn("camera takes the password in clear only (Basic authentication)")
	}
}
