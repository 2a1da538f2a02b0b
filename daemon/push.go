package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/rtmp"
	"camrelay/media/srt"
)

// pushSpec is everything that, when it changes, restarts a push.
type pushSpec struct {
	camera string
	demand bool // the push starts and holds its camera
	limit  int  // attempts, 0 for ever
	shown  string
	remote string // host:port
	scheme string // key of targets
	rtmp   rtmp.Spec
	srt    srt.Spec
}

// target runs one session of a push.
type target func(ctx context.Context, spec pushSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error

// targets is the table of what a push can speak: a new protocol is a line here.
func targets() map[string]target {
	var caller srt.Caller // all pushes share its ports
	viaRTMP := func(ctx context.Context, spec pushSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
		return rtmp.Run(ctx, spec.rtmp, s, p, log)
	}
	viaSRT := func(ctx context.Context, spec pushSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
		return caller.Run(ctx, spec.srt, s, p, log)
	}
	viaRTSP := func(context.Context, pushSpec, *hub.Stream, *media.Progress, *slog.Logger) error {
		return media.Fail(media.ClassUnsupported, errors.New("this version cannot push by RTSP"))
	}
	return map[string]target{"rtmp": viaRTMP, "rtmps": viaRTMP, "srt": viaSRT, "rtsp": viaRTSP, "rtsps": viaRTSP}
}

// pushes runs the pushes and remembers how they are.
type pushes struct {
	relay    *relay.Relay
	sessions *session.Registry
	observe  func(name string, spec pushSpec, st supervise.State)
	log      *slog.Logger
	targets  map[string]target
	holdOff  atomic.Int64 // time.Duration: how long a push rests that somebody has ended

	mu    sync.Mutex // guards what follows
	known map[string]*push
}

// push is the state of one push.
type push struct {
	name     string
	spec     pushSpec
	state    supervise.State
	progress *media.Progress // of the running session, nil before the first
	before   counts          // of the sessions before it
	retry    chan struct{}   // has room for one
	rest
}

type counts struct{ bytes, units, lost uint64 }

// newPushes returns no pushes yet. observe is called when one changes its phase
// and must not block.
func newPushes(r *relay.Relay, sessions *session.Registry, observe func(string, pushSpec, supervise.State),
	log *slog.Logger,
) *pushes {
	p := &pushes{
		relay: r, sessions: sessions, observe: observe, log: log, targets: targets(), known: make(map[string]*push),
	}
	p.holdOff.Store(int64(time.Minute))
	return p
}

// run keeps one push going until ctx is done: the run function of its reconcile.Set.
func (p *pushes) run(ctx context.Context, name string, spec pushSpec) {
	log := p.log.With("push", name, "cam", spec.camera)
	path := p.relay.Path(spec.camera)
	if path == nil {
		return // the plan names only paths that exist
	}
	mine := &push{name: name, spec: spec, retry: make(chan struct{}, 1), rest: rest{changed: make(chan struct{}, 1)}}
	p.mu.Lock()
	p.known[name] = mine
	p.mu.Unlock()
	defer p.forget(name, mine)
	for {
		why, err := p.awaitStart(ctx, mine)
		if err != nil {
			return
		}
		p.keep(ctx, mine, path, why, log)
	}
}

// keep keeps a push going until it is stopped or ctx is done. When the limit of
// attempts is used up it stays listed as failed until it is edited, removed or
// retried.
func (p *pushes) keep(ctx context.Context, mine *push, path *relay.Path, why string, log *slog.Logger) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	last, ok := p.begin(mine, end)
	if !ok {
		return
	}
	name, spec := mine.name, mine.spec
	release := path.Claim(relay.Claim{
		ID: name, Kind: relay.ClaimPush, By: name, Starts: spec.demand, Holds: spec.demand,
	})
	defer release()
	report := func(st supervise.State) { p.report(mine, st) }
	kept := ctx
	// Its only error is that of ctx.
	_ = supervise.Keep(ctx, supervise.Policy{
		Why: why, Terms: func() supervise.Terms { return supervise.Terms{Limit: spec.limit} }, Retry: mine.retry, Last: last,
		Log: log,
	}, report,
		func(ctx context.Context, active func()) error {
			if err := path.AwaitMedia(ctx); err != nil {
				return err
			}
			progress := media.NewProgress(active)
			p.session(mine, progress)
			s, ctx := p.sessions.Open(ctx, session.Info{
				Kind: session.Push, Protocol: spec.scheme, Path: spec.camera, Push: name, URL: spec.shown, Remote: spec.remote,
			}, func() (read, wrote uint64) {
				wrote, _, _, _ = progress.Counts()
				return 0, wrote
			})
			err := endRun(ctx, s, p.targets[spec.scheme](ctx, spec, path.Stream(), progress, log))
			if kicked, ok := errors.AsType[*session.KickError](err); ok {
				p.restUnlessStopped(kept, mine, kicked.By)
			}
			return err
		})
}

// report takes a state over. While the push is stopped it stays so.
func (p *pushes) report(mine *push, st supervise.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if mine.stop != nil {
		return
	}
	if mine.state.Phase != st.Phase {
		p.observe(mine.name, mine.spec, st)
	}
	mine.state = st
}

// session makes progress the running session's, and adds up the one before.
func (p *pushes) session(mine *push, progress *media.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine.before = mine.counts()
	mine.progress = progress
}

func (m *push) counts() counts {
	c := m.before
	if m.progress != nil {
		bytes, units, lost, _ := m.progress.Counts()
		c = counts{c.bytes + bytes, c.units + units, c.lost + lost}
	}
	return c
}

func (p *pushes) forget(name string, mine *push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[name] == mine {
		delete(p.known, name)
	}
}

// list returns the pushes by name, for the API.
func (p *pushes) list() []api.Push {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]api.Push, 0, len(p.known))
	for name, m := range p.known {
		c := m.counts()
		entry := api.Push{
			Name: name, Camera: m.spec.camera, URL: m.spec.shown, State: m.state,
			Bytes: c.bytes, Units: c.units, Lost: c.lost, Stop: m.stop,
		}
		if m.progress != nil {
			_, _, _, entry.LastSent = m.progress.Counts()
		}
		all = append(all, entry)
	}
	slices.SortFunc(all, func(a, b api.Push) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
