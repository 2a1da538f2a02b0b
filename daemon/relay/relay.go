// Package relay is the broker between cameras and everybody who wants them.
// It holds one Path per camera with its stream, keeps the ledger of claims that
// says why the camera runs or not, and is the one door through which viewers
// get a stream. It speaks no protocol and opens no socket: how a camera is
// pulled is handed to Path.Pull, and what hooks are asked lies behind Hooks.
//
// All methods may be called from any goroutine; Path.Pull runs once at a time
// per path, and Relay.Run once.
package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media/hub"
)

// errRemoved is why sessions end when their camera leaves the configuration.
var errRemoved = errors.New("camera removed from the configuration")

// errStops is why they end at the end of the daemon.
var errStops = errors.New("the daemon stops")

// Config is what a Relay works with.
type Config struct {
	Sessions *session.Registry
	Access   *auth.Access
	Hooks    Hooks       // nil: there are none
	Sources  Sources     // needed where Hooks may answer with a source
	Observe  func(Event) // called with everything that happens, must not block; nil: nobody listens
	// Refused is told of each viewer who is refused; must not block; nil: nobody
	// counts them.
	Refused func(protocol string, err error)
	// NotFoundTimeout is how long viewers of an unknown name wait in all for the
	// hook and for the path; 0: 10 s.
	NotFoundTimeout time.Duration
}

// Relay holds the paths.
type Relay struct {
	Config
	log    *slog.Logger
	asking sync.WaitGroup // for the goroutines of queries

	refusals refusals

	mu      sync.Mutex // guards what follows
	paths   map[string]*Path
	queries map[string]*query
	closed  bool // Run has returned: nothing is asked any more
}

// New returns a Relay without paths.
func New(cfg Config, log *slog.Logger) *Relay {
	if cfg.Observe == nil {
		cfg.Observe = func(Event) {}
	}
	if cfg.Refused == nil {
		cfg.Refused = func(string, error) {}
	}
	return &Relay{Config: cfg, log: log, paths: make(map[string]*Path), queries: make(map[string]*query)}
}

// tick is how often it is looked at how the cameras are.
const tick = time.Second

// Run tells the observer how the cameras are until ctx is done, and returns
// when nothing is asked of a hook any more.
func (r *Relay) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, p := range r.Paths() {
				p.Health()
			}
		case <-ctx.Done():
			r.mu.Lock()
			r.closed = true
			for _, q := range r.queries {
				q.cancel()
			}
			r.mu.Unlock()
			r.asking.Wait()
			return ctx.Err()
		}
	}
}

// Put creates the path or gives it a new policy, and lets in who waits for a
// path of that name. Its stream, its viewers and its camera's connection are
// not touched by a change of policy.
func (r *Relay) Put(name string, policy Policy) *Path {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.paths[name]
	if p == nil {
		p = newPath(name, r)
		r.paths[name] = p
	}
	p.setPolicy(policy)
	if q := r.queries[name]; q != nil {
		r.answer(q, nil)
	}
	return p
}

// Drop removes the path: its stream ends, and with it every viewer. The caller
// has stopped Path.Pull and the path's pushes before.
func (r *Relay) Drop(name string) {
	r.mu.Lock()
	p := r.paths[name]
	delete(r.paths, name)
	r.mu.Unlock()
	if p == nil {
		return
	}
	p.leave(errRemoved.Error())
	r.Sessions.KickPath(name, errRemoved)
	p.stream.Close()
}

// Close removes all paths at the end of the daemon, like Drop. What is wrong with
// a camera is not taken back: nobody knows whether it goes on.
func (r *Relay) Close() {
	r.mu.Lock()
	paths := r.paths
	r.paths = make(map[string]*Path)
	r.mu.Unlock()
	for name, p := range paths {
		p.mu.Lock()
		p.gone = true
		p.become(p.state.To(supervise.Idle, errStops.Error(), time.Now()))
		p.notify()
		p.unlock()
		r.Sessions.KickPath(name, errStops)
		p.stream.Close()
	}
}

// retire removes a runtime path that nobody wants, and tells whether it has.
func (r *Relay) retire(p *Path) bool {
	r.mu.Lock()
	if r.paths[p.name] != p || !p.expire(time.Now()) {
		r.mu.Unlock()
		return false
	}
	delete(r.paths, p.name)
	r.mu.Unlock()
	p.tell()
	r.Sessions.KickPath(p.name, ErrExpired)
	p.stream.Close()
	return true
}

// Path returns the path of that name, nil if there is none.
func (r *Relay) Path(name string) *Path {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths[name]
}

// Paths returns all paths by name.
func (r *Relay) Paths() []*Path {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Path, 0, len(r.paths))
	for _, p := range r.paths {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Path) int { return cmp.Compare(a.name, b.name) })
	return all
}

// Claim is Path.Claim for whoever knows a name only; ok is false if there is no
// such path.
func (r *Relay) Claim(name string, c Claim) (release func(), ok bool) {
	p := r.Path(name)
	if p == nil {
		return nil, false
	}
	id, err := p.claim(c)
	if err != nil {
		return nil, false
	}
	return sync.OnceFunc(func() { p.unclaim(id) }), true
}

// Viewable returns the paths that the request may see, by name, or the error
// of View. The request's Path is ignored.
func (r *Relay) Viewable(req hub.Request) ([]*Path, error) {
	req.Path = ""
	who, err := r.Access.View(req)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(r.Paths(), func(p *Path) bool { return !who.MayView(p.name) }), nil
}

// Subscribe is the one door for every server: it authorises the request, finds
// the path or asks the hook for one, starts its camera if need be, waits until
// there is media, and registers the session. It implements hub.Opener.
func (r *Relay) Subscribe(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	sub, err := r.subscribe(ctx, req)
	if err != nil {
		r.refuse(ctx, req, err)
	}
	return sub, err
}

func (r *Relay) subscribe(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	who, err := r.Access.View(req)
	if err != nil {
		return nil, err
	}
	p, id, err := r.enter(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := p.waitReady(ctx); err != nil {
		p.unclaim(id)
		return nil, err
	}
	sub := &hub.Subscription{Stream: p.stream}
	s, sctx := r.Sessions.Open(context.WithoutCancel(ctx), session.Info{
		Kind: session.Viewer, Protocol: req.Protocol, Path: req.Path,
		Remote: req.Remote, UserAgent: req.UserAgent, User: who.Name,
	}, func() (read, wrote uint64) { return 0, sub.Sent.Load() })
	p.identify(id, s.ID)
	log := r.log.With("cam", req.Path, "protocol", req.Protocol, "remote", req.Remote, "session", s.ID)
	log.Info("viewer joined")
	sub.ID, sub.Context = s.ID, sctx
	sub.Note = func(text string) {
		s.Note(text)
		log.Info("viewer does not get all", "reason", text)
	}
	sub.Close = func(reason error) {
		if s.Close(reason) {
			p.unclaim(id)
			log.Info("viewer left", "reason", session.End(reason), "bytes", sub.Sent.Load())
		}
	}
	// The rules may have changed meanwhile; from here on whoever changes them finds the session.
	if _, err := r.Access.View(req); err != nil {
		sub.Close(err)
		return nil, err
	}
	return sub, nil
}

// enter finds the path and claims it for a viewer.
func (r *Relay) enter(ctx context.Context, req hub.Request) (*Path, uint64, error) {
	c := Claim{Kind: ClaimViewer, By: req.Protocol + " " + req.Remote, Starts: true, Holds: true}
	for {
		p, err := r.find(ctx, req)
		if err != nil {
			return nil, 0, err
		}
		id, err := p.claim(c)
		if !errors.Is(err, hub.ErrEnded) { // else the path has gone meanwhile
			return p, id, err
		}
	}
}
