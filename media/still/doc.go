// Package still serves single pictures over HTTP, decoding nothing:
//
//	/NAME/keyframe.mp4   the newest key frame as an MP4 of one sample
//	/NAME/snapshot.jpg   the camera's own JPEG: of its snapshot address, or out of an MJPEG track
//
// It listens nowhere and knows no user: who may see a picture is the Opener's
// decision. A picture is made once for all who ask, by the first of them.
//
// A Handler may be used from any goroutine and has none of its own.
//
// # Why
//
// A real JPEG of H.264 would need a decoder. Cameras have one picture ready as
// a JPEG, and browsers show an MP4 of one sample in a video element.
package still

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Source is where the JPEG of a camera comes from. It is comparable. The zero
// value says that only the stream itself may have one.
type Source struct {
	URL      string // http or https, of a JPEG, without credentials; empty: none
	Username string // for Basic and Digest authentication; empty: none
	Password media.Secret

	// Whom to trust for https, as in trust.Peer.
	Insecure    bool
	CA          string
	Fingerprint string

	// MJPEG names the stream that may have an MJPEG track if the camera's own
	// has none and there is no URL: that of its sub stream; empty: none.
	MJPEG string
}

// Config is what a Handler is told. The zero value of each limit means its
// default.
type Config struct {
	// Source returns the source of the stream of that name. It must not block;
	// nil: there are none but MJPEG tracks.
	Source func(name string) Source
	// Claim starts and holds the stream that Source.MJPEG names, on behalf of
	// those who may see the camera, and returns it once it has tracks; nil:
	// Source.MJPEG is ignored.
	Claim func(ctx context.Context, name string) (s *hub.Stream, release func(), err error)

	Requests int // under way at a time, further ones are answered 503; 256
	PerAddr  int // requests under way from one address other than loopback; 32

	FrameTimeout time.Duration // for a picture of a camera that has described itself; 10 s
	FetchTimeout time.Duration // for the answer of a snapshot address; 5 s
	KeepJPEG     time.Duration // how old a JPEG may be; 10 s
}

// Handler serves the pictures.
type Handler struct {
	cfg  Config
	open hub.Opener
	log  *slog.Logger

	frames shelf[frameID]
	jpegs  shelf[Source]

	places *accept.Places

	mu       sync.Mutex        // guards what follows
	failures map[string]string // of cameras that give no JPEG, as logged
}

// New returns a Handler. open is asked once for each request, with the protocol
// "still".
func New(cfg Config, open hub.Opener, log *slog.Logger) *Handler {
	if cfg.Source == nil {
		cfg.Source = func(string) Source { return Source{} }
	}
	cfg.Requests = cmp.Or(cfg.Requests, 256)
	cfg.PerAddr = cmp.Or(cfg.PerAddr, 32)
	cfg.FrameTimeout = cmp.Or(cfg.FrameTimeout, 10*time.Second)
	cfg.FetchTimeout = cmp.Or(cfg.FetchTimeout, 5*time.Second)
	cfg.KeepJPEG = cmp.Or(cfg.KeepJPEG, 10*time.Second)
	return &Handler{
		cfg: cfg, open: open, log: log, failures: make(map[string]string),
		places: accept.NewPlaces(accept.Limits{All: cfg.Requests, FromOne: cfg.PerAddr}),
	}
}
