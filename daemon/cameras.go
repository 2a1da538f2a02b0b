package daemon

import (
	"context"
	"log/slog"
	"sync"

	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/camera"
)

// dials is how many cameras connect at the same time: after a power cut they
// all come back at once, and answer before they can stream.
const dials = 8

// cameras pulls the cameras.
type cameras struct {
	relay    *relay.Relay
	sessions *session.Registry
	log      *slog.Logger
	dials    *supervise.Limiter

	mu      sync.Mutex // guards splices
	splices map[string]*camera.Splice
}

func newCameras(r *relay.Relay, sessions *session.Registry, log *slog.Logger) *cameras {
	return &cameras{
		relay: r, sessions: sessions, log: log,
		dials: supervise.NewLimiter(dials), splices: make(map[string]*camera.Splice),
	}
}

// run pulls one camera while somebody wants it, until ctx is done: the run
// function of its reconcile.Set.
func (c *cameras) run(ctx context.Context, name string, spec cameraSpec) {
	path := c.relay.Path(name)
	if path == nil {
		return // the plan names only paths that exist
	}
	log := c.log.With("cam", name)
	splice := c.splice(name)
	info := session.Info{
		Kind: session.Pull, Protocol: "rtsp", Path: name, URL: media.RedactURL(spec.URL), Remote: remoteOf(spec.URL),
	}
	meter := path.Stream().Meter
	returned := func(ctx context.Context) bool { return camera.AwaitReturn(ctx, spec.Spec) }
	// Its only error is that of ctx.
	_ = path.Pull(ctx, supervise.Policy{Dials: c.dials, Returned: returned, Log: log},
		func(ctx context.Context, active func()) error {
			before := meter.Bytes()
			s, ctx := c.sessions.Open(ctx, info, func() (read, wrote uint64) { return meter.Bytes() - before, 0 })
			return endRun(ctx, s, camera.Run(ctx, spec.Spec, splice, path.Stream(), active, log))
		})
}

// splice returns what joins the connections of a camera to one stream.
func (c *cameras) splice(name string) *camera.Splice {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.splices[name]
	if s == nil {
		s = camera.NewSplice()
		c.splices[name] = s
	}
	return s
}

// forget drops the splice of a camera that has been removed.
func (c *cameras) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.splices, name)
}
