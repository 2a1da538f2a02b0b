package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/relay"
	"camrelay/daemon/supervise"
	"camrelay/media/hub"
	"camrelay/systemd"
)

// Patience with what is connected and moves nothing. A camera's session ends by
// itself without a picture for stalled_after, which is added to its patience; one of a
// push has its own timeout, and may wait for a key frame. Only a loop that hangs takes
// longer.
const (
	cameraPatience = time.Minute
	pushPatience   = 15 * time.Minute
	loopPatience   = time.Minute
)

// vigil tells the service manager how the daemon is. It belongs to the goroutine
// of Run: while that hangs nobody tells that the daemon is alive, nor while a
// lock hangs that it takes to see how the cameras, pushes and sessions are.
type vigil struct {
	manager *systemd.Manager
	hurry   time.Duration // patience with everything; 0: each pulse has its own
	beats   map[any]beat  // by the key of the pulse
	ready   bool          // has been told
	hung    string        // as it was logged last
	failed  bool          // the manager could not be told
}

// beat is what a loop has shown.
type beat struct {
	mark  mark
	since time.Time // it has been so
}

// mark changes while a loop makes progress.
type mark struct {
	bytes uint64    // or entries
	since time.Time // of the state
}

// pulse is a loop that is looked at.
type pulse struct {
	key      any // comparable, and of no other pulse
	name     string
	busy     bool // its mark is to change
	mark     mark
	patience time.Duration
}

func newVigil(m *systemd.Manager) vigil {
	if m == nil {
		m = &systemd.Manager{}
	}
	return vigil{manager: m, beats: make(map[any]beat)}
}

// period is how often is looked: three times before the watchdog bites.
func (v *vigil) period() time.Duration {
	if limit := v.manager.Watchdog() / 3; limit > 0 {
		return min(limit, retryProblems)
	}
	return retryProblems
}

// stuck returns the loops that have shown nothing for longer than their patience, in
// the order of their names.
func (v *vigil) stuck(pulses []pulse, now time.Time) (names []string) {
	seen := make(map[any]beat, len(pulses))
	for _, p := range pulses {
		if !p.busy {
			continue
		}
		b, ok := v.beats[p.key]
		if !ok || b.mark != p.mark {
			b = beat{p.mark, now}
		}
		seen[p.key] = b
		if now.Sub(b.since) >= cmp.Or(v.hurry, p.patience) {
			names = append(names, p.name)
		}
	}
	v.beats = seen
	slices.Sort(names)
	return names
}

// report tells the manager how it goes, and that the daemon is alive if no loop
// hangs.
func (d *daemon) report(now time.Time) {
	v := &d.vigil
	pushes := d.pushes.list()
	cameras := make([]cameraReport, 0, len(d.applied.paths))
	var loops []pulse
	for _, path := range d.relay.Paths() {
		cameras = append(cameras, reportOf(path))
		loops = append(loops, loopsPulses(path.Stream())...)
	}
	d.sessions.Totals() // takes their lock
	pulses := slices.Concat(camerasPulses(cameras, d.applied.source.StalledAfter), loops, d.pushes.pulses())
	hung := strings.Join(v.stuck(pulses, now), ", ")
	d.hangs.Store(hung != "")
	if hung != v.hung {
		if v.hung = hung; hung != "" {
			d.log.Error("internal error: something hangs, the watchdog is not told that all is well", "what", hung)
		}
	}
	d.placard.show(issueText(addresses(), d.servers.listeners(), d.configStatus()))
	conf := d.configStatus()
	if v.ready {
		d.beacon.show(patternOf(cameras, pushes, conf, d.box.conditions()))
	}
	err := v.manager.Status(statusLine(cameras, pushes, conf))
	if hung == "" { // also when the line could not be told
		err = errors.Join(err, v.manager.Alive())
		d.kennel.feed()
	}
	d.told(err)
}

// announce tells the manager that the daemon runs.
func (d *daemon) announce() {
	d.told(d.vigil.manager.Ready())
	d.vigil.ready = true
	d.report(time.Now())
}

// reloading tells the manager that an edit is taken over. Before the daemon
// runs there is none.
func (d *daemon) reloading() (done func()) {
	if !d.vigil.ready {
		return func() {}
	}
	d.told(d.vigil.manager.Reloading())
	return func() { d.told(d.vigil.manager.Ready()) }
}

// told logs that the manager could not be told, once.
func (d *daemon) told(err error) {
	if err != nil && !d.vigil.failed {
		d.log.Error("the service manager does not hear", "err", err)
	}
	d.vigil.failed = err != nil
}

// cameraReport is what the manager and the watchdog want to know of a camera.
type cameraReport struct {
	name  string
	state relay.Health
	phase supervise.Phase
	mark  mark
}

func reportOf(path *relay.Path) cameraReport {
	state, _ := path.Health()
	st := path.State()
	return cameraReport{path.Name(), state, st.Phase, mark{path.Stream().Meter.Bytes(), st.Since}}
}

// camerasPulses returns what cameras have to show whose sessions end after stalled
// without media.
func camerasPulses(cameras []cameraReport, stalled time.Duration) []pulse {
	all := make([]pulse, len(cameras))
	for i, c := range cameras {
		name := "camera " + c.name
		all[i] = pulse{name, name, c.phase == supervise.Active, c.mark, stalled + cameraPatience}
	}
	return all
}

// loopsPulses returns what those have to show that package a stream or make something
// of it for others.
func loopsPulses(s *hub.Stream) (all []pulse) {
	for _, l := range s.Loops() {
		all = append(all, pulse{l.ID, l.Name + " of camera " + s.Name(), l.Behind, mark{bytes: l.At}, loopPatience})
	}
	return all
}

// pulses returns what each push has to show whose session has sent something. While
// its camera is out it has nothing, and before it has begun: it may wait for a caller.
func (p *pushes) pulses() []pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]pulse, 0, len(p.known))
	for name, m := range p.known {
		path := p.relay.Path(m.spec.camera)
		var now counts
		for _, progress := range m.live {
			now = now.plus(progress)
		}
		busy := now.bytes > 0 && path != nil && path.State().Phase == supervise.Active
		name = "push " + name
		all = append(all, pulse{name, name, busy, mark{bytes: now.bytes + now.lost}, pushPatience})
	}
	return all
}

// statusLine says in a line how the daemon is.
func statusLine(cameras []cameraReport, pushes []api.Push, conf api.ConfigStatus) string {
	warm, wanted, idle := 0, 0, 0
	for _, c := range cameras {
		switch {
		case c.state.Warm:
			warm++
			wanted++
		case c.phase == supervise.Idle, c.phase == supervise.Stopped:
			idle++
		default:
			wanted++
		}
	}
	var parts []string
	switch {
	case len(cameras) == 0:
		parts = append(parts, "no cameras")
	case wanted > 0:
		parts = append(parts, fmt.Sprintf("%d/%d cameras warm", warm, wanted))
	}
	if idle > 0 {
		parts = append(parts, fmt.Sprintf("%d idle", idle))
	}
	up, wanted := 0, 0
	for _, p := range pushes {
		switch p.State.Phase {
		case supervise.Idle, supervise.Stopped:
			continue
		case supervise.Active:
			up++
		case supervise.Starting, supervise.Reconnecting, supervise.Failed:
		}
		wanted++
	}
	if wanted > 0 {
		parts = append(parts, fmt.Sprintf("%d/%d pushes up", up, wanted))
	}
	parts = append(parts, configWords(conf))
	if n := len(conf.Problems); n == 1 {
		parts = append(parts, conf.Problems[0])
	} else if n > 1 {
		parts = append(parts, fmt.Sprintf("%d problems", n))
	}
	return strings.Join(parts, ", ")
}

// configWords says which configuration runs.
func configWords(conf api.ConfigStatus) string {
	words := fmt.Sprintf("config #%d", conf.Generation)
	switch conf.State {
	case statePartial:
		return words + " without what has mistakes"
	case stateApplying:
		return words + " on trial"
	case stateRejected:
		if conf.Generation == 0 {
			return "config rejected, nothing runs"
		}
		return words + ", the edit after it is rejected"
	case stateRolledBack:
		return words + ", the edit after it is rolled back"
	case stateLastGood:
		return words + " of the last time, the files are rejected"
	}
	return words
}
