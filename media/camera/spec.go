package camera

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"camrelay/media"
)

// Transport is how RTP comes from the camera.
type Transport string

// The transports. Auto is TCP, and UDP for a camera that refuses TCP; which
// of them worked is remembered in the Splice.
const (
	Auto Transport = "auto"
	TCP  Transport = "tcp"
	UDP  Transport = "udp"
)

// Bounds of a session in time.
const (
	// connectTimeout has room for two repeated SYNs, and lets viewers who wait for
	// a camera that is off be told so within 5 s.
	connectTimeout      = 4 * time.Second
	stepTimeout         = 10 * time.Second // of a TLS handshake, and of each request
	defaultMediaTimeout = 10 * time.Second
)

// maxRedirects is how often a camera may send us elsewhere.
const maxRedirects = 3

// Spec is what a session is to be; comparable, so that a change is seen.
type Spec struct {
	URL          string // rtsp or rtsps; user info in it counts where Username is empty
	Username     string
	Password     media.Secret
	Transport    Transport     // empty: Auto
	Fingerprint  string        // rtsps: SHA-256 of the certificate in hex; empty: the system's roots decide
	Insecure     bool          // rtsps: any certificate will do
	MediaTimeout time.Duration // without RTP for so long the session ends; 0: 10 s
}

// target is where a session goes.
type target struct {
	url            *base.URL // without credentials and without the zone of an IPv6 address
	addr           string    // host:port to dial
	tls            bool
	user, password string
}

// errURL has no cause: net/url's error would quote the URL.
var errURL = errors.New("cannot parse the camera's URL")

func (s Spec) target() (target, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return target{}, errURL
	}
	t, err := aim(u)
	if err != nil {
		return target{}, err
	}
	t.user, t.password = s.Username, s.Password.Reveal()
	if t.user == "" && u.User != nil {
		t.user = u.User.Username()
		t.password, _ = u.User.Password()
	}
	return t, nil
}

// aim returns the target of a URL, without credentials.
func aim(u *url.URL) (target, error) {
	t := target{tls: strings.EqualFold(u.Scheme, "rtsps")}
	port := "554"
	switch {
	case t.tls:
		port = "322"
	case !strings.EqualFold(u.Scheme, "rtsp"):
		return target{}, fmt.Errorf("scheme %q is neither rtsp nor rtsps", u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	bare := base.URL{
		Scheme: strings.ToLower(u.Scheme), Host: u.Host,
		Path: u.Path, RawPath: u.RawPath, ForceQuery: u.ForceQuery, RawQuery: u.RawQuery,
	}
	if host, _, zoned := strings.Cut(u.Hostname(), "%"); zoned { // a zone means nothing to the camera
		bare.Host = "[" + host + "]"
		if u.Port() != "" {
			bare.Host = net.JoinHostPort(host, u.Port())
		}
	}
	t.url = &bare
	return t, nil
}

// redirected returns the target that a camera points to. Only the same host
// gets the credentials.
func (t target) redirected(location string) (target, error) {
	u, err := url.Parse(location)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return t, errors.New("the camera redirects to something that is no URL")
	}
	to, err := aim(u)
	if err != nil {
		return t, errors.New("the camera redirects to something that is neither rtsp nor rtsps")
	}
	if t.tls && !to.tls {
		return t, errors.New("the camera redirects from rtsps to rtsp")
	}
	if strings.EqualFold(u.Hostname(), t.hostname()) {
		to.user, to.password = t.user, t.password
	}
	return to, nil
}

// hostname returns the name or address that is dialled, with its zone.
func (t target) hostname() string {
	host, _, _ := net.SplitHostPort(t.addr) // made by JoinHostPort
	return host
}
