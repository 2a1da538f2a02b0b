package rtspd

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"

	"camrelay/media/hub"
)

// nonceLife is how long a challenge may be answered.
const nonceLife = 5 * time.Minute

// challenge is what a connection has been asked. Its nonce is good on this
// connection alone. The zero value has asked nothing.
type challenge struct {
	nonce string
	at    time.Time
	stale bool // it was answered too late, or by the answer to another one
}

// show puts into r by what the request shows who sends it; what cannot be read
// shows nothing. Only what schemes offer is taken.
func (ch *challenge) show(r *hub.Request, req *base.Request, digest, basic bool, now time.Time) {
	ch.stale = false
	header := req.Header["Authorization"]
	if len(header) != 1 {
		return
	}
	switch scheme, rest, _ := strings.Cut(header[0], " "); strings.ToLower(scheme) {
	case "basic":
		// RFC 7617 §2: a password may hold colons.
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if user, password, ok := strings.Cut(string(plain), ":"); basic && ok && err == nil {
			r.User, r.Password = user, password
		}
	case "digest":
		var h headers.Authorization
		if !digest || h.Unmarshal(base.HeaderValue{"Digest " + rest}) != nil || h.Realm != hub.Realm {
			return
		}
		if h.Nonce != ch.nonce || ch.nonce == "" || now.Sub(ch.at) > nonceLife {
			ch.stale = true
			return
		}
		if !sameStream(h.URI, req.URL) {
			return
		}
		r.User = h.Username
		r.Digest = &hub.Digest{
			SHA256: h.Algorithm != nil && *h.Algorithm == headers.AuthAlgorithmSHA256,
			Method: string(req.Method), URI: h.URI, Nonce: h.Nonce, Response: h.Response,
		}
	}
}

// sameStream tells whether a digest is for the URL that is asked for: players
// leave the control attribute out of it, or the scheme and the host.
func sameStream(uri string, asked *base.URL) bool {
	if asked == nil {
		return false
	}
	path := uri
	if u, err := base.ParseURL(uri); err == nil {
		path = u.Path
	} else if !strings.HasPrefix(uri, "/") {
		return false
	}
	path, _, _ = strings.Cut(path, "?")
	path, whole := strings.Trim(path, "/"), strings.Trim(asked.Path, "/")
	return path == whole || strings.HasPrefix(whole, path+"/")
}

// ask returns the values of WWW-Authenticate. Of two digests most players take
// the one that comes last, and know MD5 alone.
func (ch *challenge) ask(digest, basic bool, now time.Time) base.HeaderValue {
	var all base.HeaderValue
	if basic {
		all = append(all, `Basic realm="`+hub.Realm+`"`)
	}
	if !digest {
		return all
	}
	if ch.nonce == "" || now.Sub(ch.at) > nonceLife/2 {
		ch.nonce, ch.at = rand.Text(), now
	}
	stale := ""
	if ch.stale {
		stale = ", stale=true"
	}
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		all = append(all, `Digest realm="`+hub.Realm+`", nonce="`+ch.nonce+`", algorithm=`+algorithm+stale)
	}
	return all
}
