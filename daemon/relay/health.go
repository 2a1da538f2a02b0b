package relay

import (
	"cmp"
	"time"

	"camrelay/daemon/health"
	"camrelay/daemon/supervise"
)

// Health is how a camera is, in one word and in detail.
type Health struct {
	// State is warm, degraded, stalled, or, of a camera that does not deliver,
	// its phase: idle, starting, reconnecting, failed, stopped. A connection that
	// has just begun to deliver is starting.
	State      string
	Warm       bool
	Reason     string    // why it is not warm; why it was not last time, if it is
	Since      time.Time // of State
	Conditions []health.Condition
}

// The words of Health.State that are no phases.
const (
	StateWarm     = "warm"
	StateDegraded = "degraded" // media arrives, and something is wrong with it
	StateStalled  = "stalled"
)

// Health returns how the camera is now, and a channel that is closed when that,
// its state or its claims may have changed. What depends on time alone changes
// while Relay.Run looks.
func (p *Path) Health() (Health, <-chan struct{}) {
	now := time.Now()
	p.mu.Lock()
	defer p.unlock()
	stats := p.stream.Meter.Stats(now)
	h := p.judge(now, func() health.Verdict {
		tracks, _ := p.stream.Tracks()
		return p.facts(stats, tracks).Judge(now, p.policy.stalledAfter())
	}, stats.LastPacket)
	p.found(h, now)
	return h, p.changed
}

// found takes over how the camera is, and notes what has changed. mu is held.
func (p *Path) found(h Health, now time.Time) {
	was := p.was
	p.was = h
	for _, c := range unlike(h.Conditions, was.Conditions) {
		p.event(Event{Type: HealthRaised, At: now, Reason: c.Text, Condition: c})
	}
	recovered := p.state.Phase == supervise.Active
	for _, c := range unlike(was.Conditions, h.Conditions) {
		ev := Event{Type: HealthCleared, At: now, Reason: c.Text, Condition: c, Recovered: recovered}
		if !recovered {
			ev.Reason = cmp.Or(h.Reason, h.State)
		}
		p.event(ev)
	}
	if was.State != h.State || len(was.Conditions) != len(h.Conditions) {
		p.notify()
	}
}

// judge puts state and verdict together. mu is held.
func (p *Path) judge(now time.Time, verdict func() health.Verdict, media time.Time) Health {
	h := Health{State: string(p.state.Phase), Reason: reasonOf(p.state), Since: p.state.Since}
	switch p.state.Phase {
	case supervise.Active:
		v := verdict()
		h.Warm, h.Conditions, h.Reason = v.Warm, v.Conditions, p.state.Reason
		switch {
		case v.Warm:
			h.State = StateWarm
		case v.Has(health.Stalled):
			h.State = StateStalled
		case len(v.Conditions) > 0:
			h.State = StateDegraded
		default:
			h.State, h.Reason = string(supervise.Starting), "the first key frame is still to come"
		}
		if len(v.Conditions) > 0 {
			h.Reason = v.Conditions[0].Text
		}
		h.Since = now
		if h.State == p.was.State && (!p.was.Since.Before(p.state.Since) || h.State == string(supervise.Starting)) {
			h.Since = p.was.Since
		}
	case supervise.Starting, supervise.Reconnecting, supervise.Failed:
		if p.state.Reason != "" && p.state.Phase != supervise.Starting {
			h.Reason = p.state.Reason
		}
		since := p.wanted
		if media.After(since) {
			since = media
		}
		if now.Sub(since) >= p.policy.stalledAfter() {
			h.Conditions = []health.Condition{{Name: health.Offline, Text: h.Reason, Since: since}}
		}
	case supervise.Idle, supervise.Stopped:
	}
	return h
}

// unlike returns what is in a and not in b, by name.
func unlike(a, b []health.Condition) []health.Condition {
	var all []health.Condition
	for _, c := range a {
		if !(health.Verdict{Conditions: b}).Has(c.Name) {
			all = append(all, c)
		}
	}
	return all
}
