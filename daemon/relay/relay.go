// Package relay is the broker between cameras and everybody who wants them.
// It holds one Path per configured camera with its stream, keeps the ledger of
// claims that says why the camera runs, and is the one door through which
// viewers get a stream. It speaks no protocol and opens no socket: how a
// camera is pulled is handed to Path.Pull.
//
// All methods may be called from any goroutine; Path.Pull runs once at a time
// per path.
package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
	"camrelay/media/hub"
)

// errRemoved is why sessions end when their camera leaves the configuration.
var errRemoved = errors.New("camera removed from the configuration")

// Policy says when a camera runs and how long viewers wait for it.
type Policy struct {
	Warm         bool          // keep it running without viewers
	IdleAfter    time.Duration // close it so long after the last claim that holds
	StartTimeout time.Duration // how long a viewer waits for a picture
	Title        string        // for people; empty: the name
}

// Relay holds the paths.
type Relay struct {
	sessions *session.Registry
	access   *auth.Access
	log      *slog.Logger

	mu    sync.Mutex // guards paths
	paths map[string]*Path
}

// New returns a Relay without paths.
func New(sessions *session.Registry, access *auth.Access, log *slog.Logger) *Relay {
	return &Relay{sessions: sessions, access: access, log: log, paths: make(map[string]*Path)}
}

// Put creates the path or gives it a new policy. Its stream, its viewers and
// its camera's connection are not touched by a change of policy.
func (r *Relay) Put(name string, policy Policy) *Path {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.paths[name]
	if p == nil {
		p = newPath(name, r.log)
		r.paths[name] = p
	}
	p.setPolicy(policy)
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
	r.sessions.KickPath(name, errRemoved)
	p.stream.Close()
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

// Viewable returns the paths that the request may see, by name, or the error
// of View. The request's Path is ignored.
func (r *Relay) Viewable(req hub.Request) ([]*Path, error) {
	req.Path = ""
	who, err := r.access.View(req)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(r.Paths(), func(p *Path) bool { return !who.MayView(p.name) }), nil
}

// Subscribe is the one door for every server: it authorises the request, finds
// the path, starts its camera if need be, waits until there is media, and
// registers the session. It implements hub.Opener.
func (r *Relay) Subscribe(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
	who, err := r.access.View(req)
	if err != nil {
		return nil, err
	}
	p := r.Path(req.Path)
	if p == nil {
		return nil, hub.ErrNotFound
	}
	release := p.Claim(Claim{Kind: ClaimViewer, By: req.Protocol + " " + req.Remote, Starts: true, Holds: true})
	if err := p.waitReady(ctx); err != nil {
		release()
		return nil, err
	}
	sub := &hub.Subscription{Stream: p.stream}
	s, sctx := r.sessions.Open(context.WithoutCancel(ctx), session.Info{
		Kind: session.Viewer, Protocol: req.Protocol, Path: req.Path,
		Remote: req.Remote, UserAgent: req.UserAgent, User: who.Name,
	}, func() (read, wrote uint64) { return 0, sub.Sent.Load() })
	log := r.log.With("cam", req.Path, "protocol", req.Protocol, "remote", req.Remote, "session", s.ID)
	log.Info("viewer joined")
	sub.ID, sub.Context = s.ID, sctx
	sub.Close = func(reason error) {
		if s.Close(reason) {
			release()
			log.Info("viewer left", "reason", session.End(reason), "bytes", sub.Sent.Load())
		}
	}
	// The rules may have changed meanwhile; from here on whoever changes them finds the session.
	if _, err := r.access.View(req); err != nil {
		sub.Close(err)
		return nil, err
	}
	return sub, nil
}

// unavailable is hub.ErrUnavailable with the reason in words.
func unavailable(reason string) error {
	if reason == "" {
		reason = "still starting"
	}
	return fmt.Errorf("%w: %s", hub.ErrUnavailable, reason)
}
