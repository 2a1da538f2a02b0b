package daemon

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/supervise"
)

// list returns the pushes by name, for the API.
func (p *pushes) list() []api.Push {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]api.Push, 0, len(p.known))
	for _, m := range p.known {
		all = append(all, p.entry(m, now))
	}
	slices.SortFunc(all, func(a, b api.Push) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// entry is one push as it is. mu is held.
func (p *pushes) entry(m *push, now time.Time) api.Push {
	t := m.terms
	e := api.Push{
		Name: m.name, Camera: m.spec.camera, URL: m.spec.target.shown, State: m.state, Stop: m.stop,
		Enabled: !m.spec.off, Demand: t.demand, Comment: t.comment, Platform: string(t.platform),
		Priority: t.priority, Limit: t.limit, Retry: t.retry, File: t.file,
		Audio: m.sound(),
	}
	e.State.Reason, e.Warnings = m.reason(), p.warnings(m, now)
	if t.backup.scheme != "" {
		e.Backup, e.OnBackup = t.backup.shown, m.backup
	}
	if m.state.Phase != supervise.Active {
		e.State.Connected = time.Time{}
	}
	c := m.before
	for _, progress := range m.live {
		c = c.plus(progress)
		e.Bitrate += progress.Bitrate(now)
		e.RTT = progress.RTT()
		if _, _, _, last := progress.Counts(); last.After(m.sent) {
			m.sent = last
		}
	}
	e.Bytes, e.Units, e.Lost, e.LastSent = c.bytes, c.units, c.lost, m.sent
	return e
}

// reason says why a push is as it is, or what it does. mu is held.
func (m *push) reason() string {
	why, to := reasonOf(m.state), m.inUse()
	switch {
	case why != "" || m.state.Phase != supervise.Starting || len(m.live) == 0:
		return why
	case to.srt.Listen:
		return "waits for the other side to call " + strings.TrimPrefix(to.shown, "srt://")
	}
	return "is being connected"
}
