package relay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"camrelay/daemon/supervise"
	"camrelay/media/hub"
)

// ClaimKind tells who makes a claim.
type ClaimKind string

// The kinds of claim.
const (
	ClaimConfig ClaimKind = "config"
	ClaimViewer ClaimKind = "viewer"
	ClaimPush   ClaimKind = "push"
)

// Claim is one reason why a camera runs: an entry of the demand ledger.
type Claim struct {
	Kind   ClaimKind
	By     string    // who, for people
	Starts bool      // starts the camera
	Holds  bool      // keeps it running
	Since  time.Time // set by Path.Claim
}

// Path is one camera's place in the relay: its stream, its ledger, its state.
// The stream lives as long as the path, whatever the camera does.
type Path struct {
	name   string
	stream *hub.Stream
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	policy  Policy
	claims  map[uint64]Claim
	lastID  uint64
	held    time.Time // when a claim last ended that held the camera
	state   supervise.State
	changed chan struct{} // closed and replaced when policy, claims or state change
}

func newPath(name string, log *slog.Logger) *Path {
	return &Path{
		name:    name,
		stream:  hub.NewStream(name),
		log:     log.With("cam", name),
		claims:  make(map[uint64]Claim),
		state:   supervise.State{Phase: supervise.Idle, Since: time.Now()},
		changed: make(chan struct{}),
	}
}

// Name returns the name under which viewers ask for the path.
func (p *Path) Name() string { return p.name }

// Stream returns the path's stream.
func (p *Path) Stream() *hub.Stream { return p.stream }

// Policy returns the path's policy.
func (p *Path) Policy() Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.policy
}

// State returns what the camera does now.
func (p *Path) State() supervise.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Claims returns the ledger, oldest claim first.
func (p *Path) Claims() []Claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := slices.Sorted(maps.Keys(p.claims))
	all := make([]Claim, 0, len(ids))
	for _, id := range ids {
		all = append(all, p.claims[id])
	}
	return all
}

// Claim enters c into the ledger until release is called.
func (p *Path) Claim(c Claim) (release func()) {
	c.Since = time.Now()
	p.mu.Lock()
	p.lastID++
	id := p.lastID
	p.claims[id] = c
	p.notify()
	p.mu.Unlock()
	return sync.OnceFunc(func() { p.unclaim(id) })
}

func (p *Path) unclaim(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(id)
	p.notify()
}

// drop takes a claim out of the ledger. mu is held.
func (p *Path) drop(id uint64) {
	if p.claims[id].Holds {
		p.held = time.Now()
	}
	delete(p.claims, id)
}

// configClaim is the id of the claim that "keep: warm" makes.
const configClaim = 0

func (p *Path) setPolicy(policy Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.policy = policy
	_, claimed := p.claims[configClaim]
	switch {
	case policy.Warm && !claimed:
		p.claims[configClaim] = Claim{Kind: ClaimConfig, By: "keep: warm", Starts: true, Holds: true, Since: time.Now()}
	case !policy.Warm && claimed:
		p.drop(configClaim)
	}
	p.notify()
}

// notify wakes everybody who waits for a change. mu is held.
func (p *Path) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Path) report(st supervise.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = st
	p.notify()
}

// demand is what the ledger says now.
type demand struct {
	starts, holds bool          // some claim does
	idleAt        time.Time     // when the camera closes unless a claim holds it
	changed       chan struct{} // closed when any of it changes
}

func (p *Path) demand() demand {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := demand{idleAt: p.held.Add(p.policy.IdleAfter), changed: p.changed}
	for _, c := range p.claims {
		d.starts = d.starts || c.Starts
		d.holds = d.holds || c.Holds
	}
	return d
}

// Pull keeps the camera running while the ledger demands it, and returns when
// ctx is done. run is one connection of the camera that writes to the path's
// stream; it is restarted as policy says.
func (p *Path) Pull(ctx context.Context, policy supervise.Policy,
	run func(ctx context.Context, active func()) error,
) error {
	p.begin()
	for {
		if err := p.awaitStart(ctx); err != nil {
			return err
		}
		p.log.Info("camera wanted")
		kept, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { p.cancelWhenIdle(kept, cancel) })
		policy.Last = p.State()
		// Its only error is that of kept.
		_ = supervise.Keep(kept, policy, p.report, func(ctx context.Context, active func()) error {
			p.stream.Forget()
			return run(ctx, active)
		})
		cancel()
		wg.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.report(p.State().To(supervise.Idle, "nobody wants it", time.Now()))
		p.log.Info("camera closed, nobody wants it")
	}
}

// begin forgets the backoff of the time before: the camera's settings have changed.
func (p *Path) begin() {
	st := p.State().To(supervise.Idle, "", time.Now())
	st.Attempt, st.NextRetry = 0, time.Time{}
	p.report(st)
}

func (p *Path) awaitStart(ctx context.Context) error {
	for {
		d := p.demand()
		if d.starts {
			return nil
		}
		select {
		case <-d.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cancelWhenIdle calls cancel once no claim has held the camera for the
// policy's IdleAfter, and returns then or when ctx is done.
func (p *Path) cancelWhenIdle(ctx context.Context, cancel func()) {
	idle := time.NewTimer(time.Hour)
	defer idle.Stop()
	for {
		d := p.demand()
		idle.Stop()
		if !d.holds {
			idle.Reset(time.Until(d.idleAt))
		}
		select {
		case <-idle.C:
			cancel()
			return
		case <-d.changed:
		case <-ctx.Done():
			return
		}
	}
}

// AwaitMedia waits until the camera is active and its tracks are described. It
// returns hub.ErrEnded if the path is removed meanwhile.
func (p *Path) AwaitMedia(ctx context.Context) error {
	for {
		r := p.readiness()
		switch {
		case r.ready:
			return nil
		case p.stream.Closed():
			return hub.ErrEnded
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// waitReady is AwaitMedia for viewers, as long as the policy's StartTimeout. A
// camera that is active but whose parameter sets are still missing then has
// to do.
func (p *Path) waitReady(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, p.Policy().StartTimeout)
	defer cancel()
	err := p.AwaitMedia(limited)
	switch {
	case err == nil || p.readiness().usable:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, hub.ErrEnded):
		return hub.ErrNotFound
	}
	return unavailable(p.State().Reason)
}

// readiness is how far a camera is, and what changes when it gets further.
type readiness struct {
	ready, usable bool
	state, tracks <-chan struct{}
}

func (p *Path) readiness() readiness {
	tracks, tracksChanged := p.stream.Tracks()
	p.mu.Lock()
	defer p.mu.Unlock()
	usable := p.state.Phase == supervise.Active && len(tracks) > 0
	return readiness{ready: usable && hub.Ready(tracks), usable: usable, state: p.changed, tracks: tracksChanged}
}

func (r readiness) wait(ctx context.Context) error {
	select {
	case <-r.state:
	case <-r.tracks:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
