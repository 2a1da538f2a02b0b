package rtmp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"camrelay/media"
)

// A server that asks to move is followed this often without a rest. Then each
// session must have lasted for a while.
const (
	freeMoves = 3
	moveRest  = 30 * time.Second
)

// moveError is the end of a session whose server asked to reconnect (Enhanced
// RTMP v2, Reconnect Request). It is no failure: Run goes on where it is told to.
type moveError struct {
	to string // absolute or relative to the tcUrl; empty: to the same
}

func (*moveError) Error() string { return "the server asks to reconnect" }

// itinerary bounds how often servers may send a push about.
type itinerary struct {
	moves int
	since time.Time // the last move
}

// next returns the target that err asks to move to. If it asks for none, or too
// often, it returns the error that Run is to return.
func (i *itinerary) next(t target, err error, now time.Time) (target, error) {
	move, ok := errors.AsType[*moveError](err)
	if !ok {
		return target{}, err
	}
	if now.Sub(i.since) >= moveRest {
		i.moves = 0
	}
	if i.moves++; i.moves > freeMoves {
		return target{}, errors.New("the server asks to reconnect again and again")
	}
	i.since = now
	return t.moved(move.to)
}

// moved returns the target at another tcUrl, with the same stream key.
func (t target) moved(to string) (target, error) {
	cannot := func(why string) error {
		return fmt.Errorf("cannot follow the server to %s: %s", media.RedactURL(to+"/key"), why)
	}
	base, err := url.Parse(t.url)
	if err != nil {
		return target{}, errors.New(badURL)
	}
	ref, err := url.Parse(to)
	if err != nil {
		return target{}, cannot("it is no URL")
	}
	u := base.ResolveReference(ref)
	if to == "" {
		u = base
	}
	secure := u.Scheme == "rtmps"
	switch {
	case u.Scheme != "rtmp" && !secure || u.Hostname() == "":
		return target{}, cannot("it is no RTMP server")
	case t.tls && !secure:
		return target{}, cannot("the stream key would go there without TLS")
	}
	t.tls, t.host, t.address = secure, u.Hostname(), net.JoinHostPort(u.Hostname(), portOf(u))
	t.app = strings.Trim(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		t.app += "?" + u.RawQuery
	}
	if t.app == "" || len(t.app) > maxName {
		return target{}, cannot("it names no application")
	}
	t.url = u.Scheme + "://" + u.Host + "/" + t.app
	t.auth, t.tried = "", 0
	return t, nil
}

// portOf returns the port of an rtmp or rtmps URL.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "rtmps":
		return "443"
	}
	return "1935"
}
