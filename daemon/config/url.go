package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"camrelay/media"
)

// url takes a URL of one of the schemes, and returns it parsed and as it
// stands; nil if it is bad. No message repeats any of it but the scheme.
func (v value) url(schemes ...string) (u *url.URL, raw string) {
	s, ok := v.text()
	if !ok {
		return nil, ""
	}
	scheme, _, found := strings.Cut(s, "://")
	if !found || len(s) > 2048 {
		v.fail("is no URL", "for example "+schemes[0]+"://host/path")
		return nil, ""
	}
	u, err := url.Parse(s)
	switch {
	case media.Masked(s):
		v.failMasked()
	case err != nil:
		v.fail("cannot be read as a URL", "write special characters as %XX; user names and secrets have keys of their own")
	case !slices.Contains(schemes, u.Scheme):
		v.badScheme(strings.ToLower(scheme), schemes)
	case strings.ContainsAny(s, " \t"):
		v.fail("holds a space", "write it as %20")
	case u.Hostname() == "" && u.Scheme != "srt": // an SRT listener has none
		v.fail("names no host", "")
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		v.fail("holds a #", "write it as %23")
	case !goodPort(u.Port()):
		v.fail("the port must be 1 to 65535", "")
	default:
		return u, s
	}
	return nil, ""
}

// failMasked refuses what is shown in the place of a secret.
func (v value) failMasked() {
	v.fail("holds *** in the place of a secret", "give the secret itself; what is shown has none")
}

func (v value) badScheme(scheme string, schemes []string) {
	switch want := strings.Join(schemes, ", "); {
	case len(scheme) > 10:
		v.fail("unknown scheme", "supported are "+want)
	default:
		v.fail(fmt.Sprintf("unknown scheme %q", scheme), "supported are "+want)
	}
}

func goodPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n > 0 && n < 1<<16
}
