package camera

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"camrelay/media"
)

// Bounds of the keepalive period in seconds.
const (
	defaultSession = 60 // RFC 2326 §12.37
	maxKeepalive   = 25
)

var sessionTimeout = regexp.MustCompile(`(?i);\s*timeout\s*=\s*(\d+)`)

// response sees each answer of the camera before gortsplib acts on it.
func (x *session) response(res *base.Response) {
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400 && len(res.Header["Location"]) == 1:
		// gortsplib would follow for ever, and take the credentials along.
		x.location = res.Header["Location"][0]
		delete(res.Header, "Location")
	case res.StatusCode == base.StatusUnauthorized:
		challenge := strings.ToLower(strings.Join(res.Header["WWW-Authenticate"], " "))
		x.stale = x.asked && strings.Contains(challenge, "stale=true")
		if !x.asked && x.target.user != "" && !strings.Contains(challenge, "digest") {
			x.log.Warn("camera asks for the password in clear (Basic authentication)")
		}
		x.asked = true
	case res.StatusCode == base.StatusUnsupportedTransport:
		x.noTCP = !x.udp()
	}
	if s := res.Header["Session"]; len(s) == 1 {
		res.Header["Session"] = base.HeaderValue{keepalive(s[0], rand.Float64())}
	}
}

// keepalive rewrites the Session header so that gortsplib, which sends a
// keepalive at 0.8 of the timeout, sends one after at most half of it and 25 s;
// random, from [0, 1), spreads the boxes of a site.
func keepalive(header string, random float64) string {
	timeout := defaultSession
	if m := sessionTimeout.FindStringSubmatch(header); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			timeout = n
		}
	}
	period := min(float64(timeout)/2, maxKeepalive) * (0.8 + 0.2*random)
	id, _, _ := strings.Cut(header, ";")
	return fmt.Sprintf("%s;timeout=%d", id, max(1, int(period/0.8)))
}

// explain returns the error as people read it, with its class and without
// secrets.
func (x *session) explain(err error) error {
	if err == nil {
		return nil
	}
	class := media.ClassOf(err)
	text := err.Error()
	var status liberrors.ErrClientBadStatusCode
	if errors.As(err, &status) {
		class, text = x.status(status.Code, text)
	}
	if p := x.target.password; p != "" {
		text = strings.ReplaceAll(text, p, "***")
	}
	return media.Fail(class, errors.New(text))
}

// status says what an answer of the camera's means.
func (x *session) status(code base.StatusCode, text string) (media.Class, string) {
	switch code {
	case base.StatusUnauthorized:
		if x.target.user == "" {
			return media.ClassCredentials, "the camera asks for a user name and password (401)"
		}
		return media.ClassCredentials, "the camera refuses the user name or password (401)"
	case base.StatusForbidden:
		return media.ClassCredentials, "the camera forbids this user the stream (403)"
	case base.StatusNotFound:
		return media.ClassUnsupported, "the camera has no stream of this path (404)"
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return media.ClassBusy, fmt.Sprintf("the camera has no free session (%d)", code)
	case base.StatusUnsupportedTransport:
		return media.ClassUnsupported, "the camera refuses this transport (461)"
	}
	return media.ClassNetwork, text
}
