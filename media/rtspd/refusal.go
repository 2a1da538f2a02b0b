package rtspd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"camrelay/media"
)

// badURL is the text of every problem of a URL, which is not quoted.
const badURL = "the URL must be rtsp://host/path or rtsps://host/path, with the user in username and password"

// parse reads the URL and puts the user into it, which is how gortsplib wants it.
func (s PushSpec) parse() (*base.URL, error) {
	u, err := base.ParseURL(s.URL)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, unsupported(badURL)
	}
	if s.Username != "" {
		u.User = url.UserPassword(s.Username, s.Password.Reveal())
	}
	return u, nil
}

func (x *push) hostname() string {
	u := url.URL(*x.url)
	return u.Hostname()
}

// explain says in words why a request has failed. What the server wrote is not
// quoted: it may echo the password.
func (x *push) explain(name base.Method, err error) error {
	var status liberrors.ErrClientBadStatusCode
	var unknown *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		return x.refusal(name, status.Code)
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return media.Fail(media.ClassRefused, fmt.Errorf("no address is known for %s", x.hostname()))
	case errors.Is(err, syscall.ECONNREFUSED):
		return media.Fail(media.ClassRefused, fmt.Errorf("nobody listens at %s", x.url.Host))
	case errors.As(err, new(liberrors.ErrClientAuthSetup)):
		return unsupported("the server asks for the password in a way that is not known")
	}
	return fmt.Errorf("cannot publish: %w", err)
}

// refusal says what a status means for a publisher (RFC 2326 §7.1.1).
func (x *push) refusal(name base.Method, code base.StatusCode) error {
	fail := func(class media.Class, text string) error {
		return media.Fail(class, fmt.Errorf("%s (%d to %s)", text, code, name))
	}
	switch code {
	case base.StatusUnauthorized, base.StatusForbidden:
		if x.spec.Username == "" {
			return fail(media.ClassCredentials, "the server wants a user and a password")
		}
		return fail(media.ClassCredentials, "the server refuses the user or the password")
	case base.StatusNotFound, base.StatusGone:
		return fail(media.ClassRefused, "the server knows no such path")
	case base.StatusMethodNotAllowed, base.StatusNotImplemented:
		return fail(media.ClassUnsupported, "the server takes no publications")
	case base.StatusUnsupportedMediaType:
		return fail(media.ClassUnsupported, "the server does not take the camera's codecs")
	case base.StatusUnsupportedTransport:
		return fail(media.ClassUnsupported, "the server does not take media over TCP")
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return fail(media.ClassBusy, "the server has no room now")
	}
	return fail(media.ClassNetwork, "the server refuses")
}

// errGone says that the server has ended the session, for which gortsplib has err.
func errGone(err error) error {
	if errors.Is(err, liberrors.ErrClientTerminated{}) {
		return nil // we did
	}
	return errServerClosed
}

func unsupported(text string) error { return media.Fail(media.ClassUnsupported, errors.New(text)) }
