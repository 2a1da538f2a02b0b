package hub

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"

	"camrelay/media"
)

// Errors of an Opener, to be tested with errors.Is. Reason says what to tell.
var (
	ErrNotFound    = errors.New("no such stream")                 // 404
	ErrDenied      = errors.New("authentication required")        // 401
	ErrForbidden   = errors.New("not allowed")                    // 403
	ErrUnavailable = errors.New("the camera delivers no picture") // 503, worth another try
	ErrEnded       = media.EndedBy(media.ErrClosedHere, "the stream has ended")
)

// Request is what a server knows about somebody who wants a stream.
type Request struct {
	Path      string // name of the stream
	Query     url.Values
	Protocol  string // rtsp, hls, rtmp, srt, …
	Remote    string // host:port
	UserAgent string
	User      string // as given by the client; empty if none
	Password  string
	Token     string // bearer token as given by the client; empty if none
	Digest    *Digest
}

// Realm is what clients are asked a password of (RFC 7235 §2.2).
const Realm = "camrelay"

// Digest shows that a client knows the password of User without showing it: the
// response to a challenge (RFC 2617 §3.2.2, without qop), which is the server's own
// and of this connection.
type Digest struct {
	SHA256      bool // MD5 if not
	Method, URI string
	Nonce       string
	Response    string // hexadecimal
}

// Subscription is the right to read a stream. The holder counts what it sends
// and calls Close exactly once.
type Subscription struct {
	ID      string // of the session, a UUID
	Stream  *Stream
	Sent    atomic.Uint64   // bytes written to the viewer
	Context context.Context // done when the viewer is to be sent away; cause tells why
	Close   func(reason error)
	// Note tells people what of the stream this viewer does not get, or may not be
	// able to play; nil: nobody wants to know.
	Note func(text string)
}

// Notes hands text to Note if there is any.
func (s *Subscription) Notes(text string) {
	if s.Note != nil && text != "" {
		s.Note(text)
	}
}

// Opener is the one door for every server: it authorises the request, starts
// the camera if need be, waits until the stream has tracks and registers the
// session. Its errors wrap the sentinels of this package.
type Opener func(ctx context.Context, req Request) (*Subscription, error)
