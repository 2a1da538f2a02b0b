package relay

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"camrelay/daemon/health"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// Path is one camera's place in the relay: its stream, its ledger, its state.
// The stream lives as long as the path, whatever the camera does.
type Path struct {
	name   string
	stream *hub.Stream
	relay  *Relay
	log    *slog.Logger
	retry  chan struct{} // tells Pull to try at once; has room for one

	mu sync.Mutex // guards what follows
	ledger
	telling
	state   supervise.State
	born    time.Time
	gone    bool      // it is not the relay's any more
	running bool      // Pull keeps the camera
	wanted  time.Time // when it has begun to
	halt    string    // why the running connection is to end, whatever is wanted by now
	asking  bool      // the hook is being asked
	hurried time.Time // failures before do not count for those who wait
	was     Health    // as it was found last
	changed chan struct{}
}

func newPath(name string, r *Relay) *Path {
	now := time.Now()
	return &Path{
		name:    name,
		stream:  hub.NewStream(name),
		relay:   r,
		log:     r.log.With("cam", name),
		retry:   make(chan struct{}, 1),
		ledger:  ledger{claims: make(map[uint64]Claim)},
		state:   supervise.State{Phase: supervise.Idle, Since: now},
		born:    now,
		was:     Health{State: string(supervise.Idle), Reason: nobody, Since: now},
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

// Running tells whether the camera is kept connected, or tried to, and nobody
// has stopped it.
func (p *Path) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running && p.stop == nil
}

// Viewers returns how many viewers there are.
func (p *Path) Viewers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count(ClaimViewer)
}

// Claims returns the ledger, oldest claim first.
func (p *Path) Claims() []Claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list()
}

// Claim enters c into the ledger until release is called.
func (p *Path) Claim(c Claim) (release func()) {
	id, err := p.claim(c)
	if err != nil {
		return func() {} // the path is gone, and who holds it will see
	}
	return sync.OnceFunc(func() { p.unclaim(id) })
}

// claim enters a claim. The error is hub.ErrEnded if the path is gone, and a
// hub.ErrUnavailable if there are enough viewers.
func (p *Path) claim(c Claim) (id uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, hub.ErrEnded
	}
	if most := p.policy.MaxViewers; c.Kind == ClaimViewer && most > 0 && p.count(ClaimViewer) >= most {
		return 0, hub.Refuse(hub.ErrUnavailable, fmt.Sprintf("the limit of viewers is reached: %d", most))
	}
	id = p.add(c, time.Now())
	p.notify()
	return id, nil
}

func (p *Path) unclaim(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(id, time.Now())
	p.notify()
}

// identify names the session of a claim.
func (p *Path) identify(id uint64, session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.claims[id]; ok {
		c.ID = session
		p.claims[id] = c
	}
}

func (p *Path) setPolicy(policy Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ledger.setPolicy(policy, time.Now())
	p.notify()
}

// Stop closes the camera whatever claims there are, for holdOff, or until Start
// or a claim that Resumes. With a holdOff of 0 any new claim that starts the
// camera ends the stop too; a negative one has no end in time. The viewers
// stay: they get nothing until the camera returns. by is for people.
func (p *Path) Stop(by string, holdOff time.Duration) {
	now := time.Now()
	s := &Stop{By: by, At: now, Yields: holdOff == 0}
	if holdOff > 0 {
		s.Until = now.Add(holdOff)
	}
	p.mu.Lock()
	defer p.unlock()
	p.stop, p.halt, p.wake = s, s.String(), ""
	p.become(p.state.To(supervise.Stopped, s.String(), now))
	p.event(Event{Type: CameraStopped, At: now, Reason: s.String()})
	p.notify()
}

// Start ends a stop: the policy rules again. A camera that waits for its next
// attempt tries at once. It tells whether there was a stop. by is for people.
func (p *Path) Start(by string) bool {
	p.mu.Lock()
	stopped := p.stop != nil
	if stopped {
		p.resume("started by " + by)
	}
	p.notify()
	p.mu.Unlock()
	p.Retry()
	return stopped
}

// Retry makes a camera that waits for its next attempt try at once.
func (p *Path) Retry() {
	p.mu.Lock()
	p.hurried = time.Now()
	p.mu.Unlock()
	select {
	case p.retry <- struct{}{}:
	default: // one is waiting already
	}
}

// notify wakes everybody who waits for a change. mu is held.
func (p *Path) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// report takes a state over. While the camera is stopped it stays so, whatever
// its last connection says, and one that has gone has no state any more.
func (p *Path) report(st supervise.State) {
	p.mu.Lock()
	defer p.unlock()
	if p.gone || p.stop != nil && st.Phase != supervise.Stopped {
		return
	}
	p.become(st)
	p.notify()
}

// become makes st the state, and notes what is to be told of it. mu is held.
func (p *Path) become(st supervise.State) {
	was, is := p.state.Phase == supervise.Active, st.Phase == supervise.Active
	p.state = st
	switch {
	case is && !was:
		p.event(Event{Type: PathReady, At: time.Now(), Reason: reasonOf(st)})
	case was && !is:
		p.event(Event{Type: PathNotReady, At: time.Now(), Reason: reasonOf(st)})
	}
}

// reasonOf returns why st is in its phase.
func reasonOf(st supervise.State) string {
	if n := len(st.Transitions); n > 0 {
		return st.Transitions[n-1].Reason
	}
	return ""
}

// leave makes the path nobody's; its Pull has ended.
func (p *Path) leave(reason string) {
	p.mu.Lock()
	defer p.unlock()
	p.end(reason, time.Now())
}

// end makes the path nobody's. What was wrong with it is so no longer. mu is held.
func (p *Path) end(reason string, now time.Time) {
	p.gone = true
	p.become(p.state.To(supervise.Idle, reason, now))
	p.found(Health{State: string(supervise.Idle), Reason: reason, Since: now}, now)
	p.notify()
}

// Demand is why a camera runs or not, and what will happen next.
type Demand struct {
	Claims  []Claim // oldest first
	Running bool    // it is kept running, or tried to
	Wanted  bool    // a claim starts it, and it is not stopped
	Held    bool    // a claim keeps it running, and it is not stopped
	Why     string  // in a line
	Stop    *Stop   // nil: nobody has stopped it
	Next    Next
}

// Next is what will happen to a camera if nobody does anything.
type Next struct {
	What string    // for people; empty: nothing
	At   time.Time // on the clock on the wall
}

// Demand returns the ledger.
func (p *Path) Demand() Demand {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settle(now) {
		p.notify()
	}
	_, wanted := p.starts()
	d := Demand{
		Claims: p.list(), Running: p.running, Wanted: wanted, Held: p.stop == nil && p.holds(), Why: p.summary(),
	}
	if p.stop != nil {
		s := *p.stop
		d.Stop = &s
	}
	soon := func(what string, at time.Time) {
		if !at.IsZero() && (d.Next.What == "" || at.Before(d.Next.At)) {
			d.Next = Next{what, at}
		}
	}
	if d.Stop != nil {
		soon("the hold-off ends", d.Stop.Until)
	}
	if _, open := p.claims[scheduleClaim]; open {
		soon("the schedule's window closes", p.changes)
	} else {
		soon("the schedule's window opens", p.changes)
	}
	if p.running && d.Stop == nil {
		soon("the next attempt", p.state.NextRetry)
	}
	end, expires := p.expiry()
	switch idle := p.due(); {
	case p.running && (d.Stop != nil || p.holds() || wanted):
	case p.running && p.policy.OnIdle == IdleAsk:
		soon("the hook is asked", idle)
	case p.running && p.policy.OnIdle == IdleKeep:
	case p.running:
		soon("the camera is closed", idle)
	case expires:
		soon("the path is removed", end)
	}
	return d
}

// facts is what health judges. mu is held.
func (p *Path) facts(stats hub.Stats, tracks []*media.Track) health.Camera {
	c := health.Camera{Since: p.state.Since, Packet: stats.LastPacket, KeyInterval: stats.KeyInterval}
	if stats.LastKey.After(stats.Connected) {
		c.Key = stats.LastKey
	}
	for i, t := range tracks {
		f := health.Track{Kind: t.Kind}
		if i < len(stats.Tracks) {
			f.Last, f.Moved = stats.Tracks[i].Last, stats.Tracks[i].Moved
		}
		c.Tracks = append(c.Tracks, f)
	}
	return c
}
