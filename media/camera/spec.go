package camera

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/timeline"
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
	stepTimeout         = 10 * time.Second // of dialling, and of each request
	defaultMediaTimeout = 10 * time.Second
	goodbyeTimeout      = 300 * time.Millisecond // for the camera to take the TEARDOWN
	maxRedirects        = 3
)

// Spec is what a session is to be; comparable, so that a change is seen.
type Spec struct {
	URL                string // rtsp or rtsps; user info in it counts where Username is empty
	Username           string
	Password           media.Secret
	Transport          Transport
	Fingerprint        string        // rtsps: SHA-256 of the certificate in hex; empty: the system's roots decide
	Insecure           bool          // rtsps: any certificate will do
	MediaTimeout       time.Duration // without RTP for so long the session ends; 0: 10 s
	withoutCredentials bool          // redirected to another host
}

// Splice joins the connections of a camera to one stream: sequence numbers,
// time stamps and stream time run on from one to the next. The owner of the
// stream keeps it and gives it to each Run.
type Splice struct {
	tl    *timeline.Timeline
	lanes []seam // by track ID
	udp   bool   // the camera has refused TCP
	units unitsState
}

// seam is where one track of a connection ended.
type seam struct {
	used bool
	ssrc uint32
	seq  uint16
	ts   uint32
	wall time.Time
}

// unitsState is the depacketising that outlives a connection.
type unitsState struct {
	asm      *depay.Assembler
	shape    string    // of the tracks that asm was made for
	fedUntil time.Time // arrival of the newest packets that asm has seen
	unwanted time.Time // since when nobody reads units; zero while somebody does
}

// NewSplice returns the Splice of a stream that was never fed.
func NewSplice() *Splice { return &Splice{tl: timeline.New()} }

// target is a Spec's URL taken apart.
type target struct {
	url            *base.URL // with credentials, if any; always rtsp inside
	host           string    // host:port
	tls            bool
	user, password string
}

var errURL = errors.New("cannot parse the camera's URL") // net/url's own error would quote it

func (s Spec) target() (target, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Hostname() == "" {
		return target{}, media.Fail(media.ClassUnsupported, errURL)
	}
	if u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return target{}, media.Fail(media.ClassUnsupported, fmt.Errorf("scheme %q is neither rtsp nor rtsps", u.Scheme))
	}
	t := target{tls: u.Scheme == "rtsps", user: s.Username, password: s.Password.Reveal()}
	if t.user == "" && u.User != nil {
		t.user = u.User.Username()
		t.password, _ = u.User.Password()
	}
	if s.withoutCredentials {
		t.user, t.password = "", ""
	}
	u.User = nil
	if t.user != "" {
		u.User = url.UserPassword(t.user, t.password)
	}
	if u.Port() == "" {
		u.Host = joinPort(u.Hostname(), t.tls)
	}
	b := base.URL(*u)
	t.url, t.host = &b, u.Host
	return t, nil
}

// redirected returns the Spec for the address that a camera points to. Only
// the same host gets the credentials.
func (s Spec) redirected(location string) (Spec, error) {
	u, err := url.Parse(location)
	old, errOld := url.Parse(s.URL)
	if err != nil || errOld != nil || u.Hostname() == "" {
		return s, errors.New("the camera redirects to something that is no URL")
	}
	if u.Scheme != "rtsp" && u.Scheme != "rtsps" {
		return s, fmt.Errorf("the camera redirects to scheme %q", u.Scheme)
	}
	if old.Scheme == "rtsps" && u.Scheme == "rtsp" {
		return s, errors.New("the camera redirects from rtsps to rtsp")
	}
	if u.Hostname() != old.Hostname() {
		s.withoutCredentials = true
	}
	u.User = nil
	if old.User != nil && !s.withoutCredentials {
		u.User = old.User
	}
	s.URL = u.String()
	return s, nil
}
