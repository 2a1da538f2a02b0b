package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/daemon/config"
	"camrelay/daemon/reconcile"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/rtmp"
	"camrelay/media/rtspd"
	"camrelay/media/srt"
)

// target runs one session of a push.
type target func(ctx context.Context, spec targetSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error

// targets is the table of what a push can speak: a new protocol is a line here.
func targets() map[string]target {
	var caller srt.Caller // all pushes share its ports
	viaRTMP := func(ctx context.Context, spec targetSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
		return rtmp.Run(ctx, spec.rtmp, s, p, log)
	}
	viaSRT := func(ctx context.Context, spec targetSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
		return caller.Run(ctx, spec.srt, s, p, log)
	}
	viaRTSP := func(ctx context.Context, spec targetSpec, s *hub.Stream, p *media.Progress, log *slog.Logger) error {
		return rtspd.Push(ctx, spec.rtsp, s, p, log)
	}
	return map[string]target{
		"rtmp": viaRTMP, "rtmps": viaRTMP, "srt": viaSRT, "rtsp": viaRTSP, "rtsps": viaRTSP,
	}
}

// startEvery is the shortest time between two connects of any pushes: fewer than
// four in a second, also where the network delays one.
const startEvery = 300 * time.Millisecond

// pushEvent is that a push has changed.
type pushEvent struct {
	kind    string // what follows push. in the type of the event
	name    string
	spec    pushSpec
	inUse   targetSpec
	attempt int
	reason  string
}

// pushes runs the pushes of the files and of the API, and remembers how they
// are. The files come first: what they name, the API cannot add or remove.
type pushes struct {
	relay    *relay.Relay
	sessions *session.Registry
	observe  func(pushEvent)
	log      *slog.Logger
	version  string // of this program
	targets  map[string]target
	pace     *supervise.Pace
	set      *reconcile.Set[string, pushSpec]
	machine  machine
	holdOff  atomic.Int64 // time.Duration: how long a push rests that somebody has ended

	mu      sync.Mutex // guards what follows, and the states of pushes
	planned map[string]pushPlan
	added   map[string]pushPlan
	cameras map[string]config.Camera // of the files
	known   map[string]*push         // all that are planned or added
	closed  bool
}

// push is the state of one push, for as long as its name is in use.
type push struct {
	name  string
	spec  pushSpec
	terms pushTerms
	state supervise.State
	choice
	live    []*media.Progress       // of the running sessions
	before  counts                  // of the sessions before them
	view    *hub.Stream             // what the session that began last reads, nil if none runs
	sent    time.Time               // when media was sent last, as it was seen
	retry   chan struct{}           // has room for one
	claimed *relay.Path             // whose ledger has its claim, nil if none has
	release func()                  // of the claim
	end     context.CancelCauseFunc // of the running session
	rest
}

type counts struct{ bytes, units, lost uint64 }

// newPushes returns no pushes yet. observe is called when one changes and must
// not block.
func newPushes(r *relay.Relay, sessions *session.Registry, version string, observe func(pushEvent), log *slog.Logger,
) *pushes {
	p := &pushes{
		relay: r, sessions: sessions, observe: observe, log: log, version: version, targets: targets(),
		pace:  supervise.NewPace(startEvery),
		added: make(map[string]pushPlan), known: make(map[string]*push),
	}
	p.set = reconcile.New(p.run)
	p.holdOff.Store(int64(time.Minute))
	return p
}

// apply makes the pushes of the files those of a plan. cameras are those of the
// files.
func (p *pushes) apply(planned map[string]pushPlan, cameras map[string]config.Camera) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned, p.cameras = planned, cameras
	for name := range planned {
		if _, taken := p.added[name]; taken {
			p.drop(name, "a file names a push like that")
		}
	}
	p.settle()
}

// drop forgets a push of the API. mu is held.
func (p *pushes) drop(name, why string) {
	delete(p.added, name)
	p.log.Info("push removed", "push", name, "reason", why)
	if m := p.known[name]; m != nil {
		p.tell(m, "removed", why)
	}
}

// settle makes what runs what is planned and added. mu is held.
func (p *pushes) settle() {
	if p.closed {
		return
	}
	all := make(map[string]pushPlan, len(p.planned)+len(p.added))
	maps.Copy(all, p.added)
	maps.Copy(all, p.planned)
	for name := range p.known {
		if _, wanted := all[name]; !wanted {
			delete(p.known, name)
		}
	}
	for name, plan := range all {
		m := p.known[name]
		if m == nil {
			m = &push{
				name: name, spec: plan.spec, terms: plan.terms, retry: make(chan struct{}, 1),
				state: supervise.State{Phase: supervise.Idle, Since: time.Now()},
				rest:  rest{changed: make(chan struct{}, 1)},
			}
			p.known[name] = m
			continue
		}
		p.amend(m, plan)
	}
	p.set.Apply(context.Background(), specsOf(all))
}

// Close ends all pushes and waits for them.
func (p *pushes) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.set.Close()
}

// take returns the push of that name as it begins to run by spec, nil if it is
// not wanted any more.
func (p *pushes) take(name string, spec pushSpec) *push {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.known[name]
	if m == nil {
		return nil
	}
	m.spec, m.choice = spec, choice{}
	m.state.Attempt, m.state.NextRetry, m.state.Waiting = 0, time.Time{}, ""
	if spec.off {
		m.state = m.state.To(supervise.Idle, "it is switched off", time.Now())
		p.tell(m, string(supervise.Idle), "it is switched off")
	}
	return m
}

// run keeps one push going until ctx is done: the run function of its reconcile.Set.
func (p *pushes) run(ctx context.Context, name string, spec pushSpec) {
	mine, path := p.take(name, spec), p.relay.Path(spec.camera)
	if mine == nil || path == nil {
		return // the plan names only paths that exist
	}
	if spec.off {
		<-ctx.Done()
		return
	}
	log := p.log.With("push", name, "cam", spec.camera)
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
	p.claim(mine, path)
	defer p.unclaim(mine)
	// Its only error is that of ctx.
	_ = supervise.Keep(ctx, supervise.Policy{
		Why: why, Terms: func() supervise.Terms { return p.termsOf(mine) }, Retry: mine.retry, Last: last, Pace: p.pace,
		Await:  func(ctx context.Context, waiting func(string)) error { return awaitSource(ctx, path, waiting) },
		Silent: func() string { return sourceReason(path) },
		Log:    log,
	}, func(st supervise.State) { p.report(mine, st) }, func(ctx context.Context, active func()) error {
		return p.attempt(ctx, mine, path.Stream(), active, log)
	})
}

// session runs one session with a target and returns why it has ended.
func (p *pushes) session(ctx context.Context, m *push, to targetSpec, s *hub.Stream, active func(), log *slog.Logger,
) error {
	kept := ctx
	progress := media.NewProgress(active)
	p.enter(m, progress)
	defer p.leave(m, progress)
	view, release := p.viewOf(m, to, s)
	defer release()
	one, ctx := p.sessions.Open(ctx, session.Info{
		Kind: session.Push, Protocol: to.scheme, Path: m.spec.camera, Push: m.name, URL: to.shown, Remote: to.remote,
	}, func() (read, wrote uint64) {
		wrote, _, _, _ = progress.Counts()
		return 0, wrote
	})
	err := endRun(ctx, one, classified(p.targets[to.scheme](ctx, to, view, progress, log)))
	if kicked, ok := errors.AsType[*session.KickError](err); ok {
		p.restUnlessStopped(kept, m, kicked.By)
	}
	return err
}

// report takes a state over. While the push is stopped it stays so.
func (p *pushes) report(m *push, st supervise.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.stop != nil {
		return
	}
	changed := m.state.Phase != st.Phase
	m.state = st
	m.holdCamera()
	if changed {
		p.tell(m, string(st.Phase), reasonOf(st))
	}
}

// reasonOf says why a push is as it is.
func reasonOf(st supervise.State) string {
	if st.Waiting != "" {
		return st.Waiting
	}
	return st.Reason
}

// tell tells the observer of a change. mu is held.
func (p *pushes) tell(m *push, kind, reason string) {
	if kind == string(supervise.Starting) {
		kind = "started"
	}
	p.observe(pushEvent{kind, m.name, m.spec, m.inUse(), m.state.Attempt, reason})
}

// enter counts a session that begins.
func (p *pushes) enter(m *push, progress *media.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.live = append(m.live, progress)
}

// leave counts a session that has ended among those before.
func (p *pushes) leave(m *push, progress *media.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range m.live {
		if l == progress {
			m.live = append(m.live[:i:i], m.live[i+1:]...)
			m.before = m.before.plus(progress)
			if _, _, _, last := progress.Counts(); last.After(m.sent) {
				m.sent = last
			}
			return
		}
	}
}

func (c counts) plus(progress *media.Progress) counts {
	bytes, units, lost, _ := progress.Counts()
	return counts{c.bytes + bytes, c.units + units, c.lost + lost}
}
