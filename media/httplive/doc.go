// Package httplive serves streams as endless HTTP bodies: MPEG-TS at
// /NAME/mpegts, FLV at /NAME.flv and /NAME/live.flv. It muxes nothing itself,
// listens nowhere and knows no user: the logs are those of package feed, who may
// watch is the Opener's decision.
//
// A Handler may be used from any goroutine. Each viewer costs the goroutine of
// its request and a cursor; one that is slow loses media up to the next key
// frame and stands only in its own way.
//
// # Why
//
// A response whose headers are out cannot become an error any more. So the
// status is held back until media is at hand: what cannot be played is an error
// in words, and a body that has begun begins with a key frame.
package httplive

import (
	"cmp"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Config is what a Handler is told. The zero value of each field means its
// default.
type Config struct {
	Viewers      int           // at a time, further ones are answered 503; 4096
	PerStream    int           // viewers of one stream at a time; 256
	PerAddr      int           // viewers from one address other than loopback; 64
	StartTimeout time.Duration // for the first key frame of a camera that has described itself; 10 s
	WriteTimeout time.Duration // a viewer that takes no data for so long is closed; 10 s
}

// Handler serves the bodies.
type Handler struct {
	cfg    Config
	open   hub.Opener
	log    *slog.Logger
	counts counts

	places *accept.Places

	mu       sync.Mutex     // guards what follows
	byStream map[string]int // viewers
}

// counts are what Stats shows.
type counts struct{ lost, slow, refused atomic.Int64 }

// Stats are the counters of a Handler.
type Stats struct {
	Viewers int   // now, those that wait for their first picture included
	Lost    int64 // chunks and tags that viewers lost by being slow
	Slow    int64 // viewers closed because they took no data
	Refused int64 // viewers beyond a limit
}

// New returns a Handler. open is asked once for each viewer, with the protocol
// "mpegts" or "flv".
func New(cfg Config, open hub.Opener, log *slog.Logger) *Handler {
	cfg.Viewers = cmp.Or(cfg.Viewers, 4096)
	cfg.PerStream = cmp.Or(cfg.PerStream, 256)
	cfg.PerAddr = cmp.Or(cfg.PerAddr, 64)
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, 10*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Second)
	return &Handler{
		cfg: cfg, open: open, log: log, byStream: make(map[string]int),
		places: accept.NewPlaces(accept.Limits{All: cfg.Viewers, FromOne: cfg.PerAddr}),
	}
}

// Stats returns the counters.
func (h *Handler) Stats() Stats {
	return Stats{
		Viewers: h.places.Taken(), Lost: h.counts.lost.Load(), Slow: h.counts.slow.Load(), Refused: h.counts.refused.Load(),
	}
}
