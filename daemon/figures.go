package daemon

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/daemon/metrics"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hls"
	"camrelay/media/hub"
)

// figures is everything as it is now, for the metrics.
func (d *daemon) figures() metrics.Snapshot {
	now, plan := time.Now(), d.current.Load()
	s := metrics.Snapshot{
		Pushes: d.pushes.figures(), Hooks: d.hooks.figures(), Keepalives: make(map[string]int),
		Viewers: make(map[string]int), Config: configFigures(d), Box: d.box.figures(),
		Memory: metrics.Memory{Budget: plan.servers.hls.budget, Free: free(d.opts.RuntimeDir)},
	}
	if up := d.servers.up.Load(); up != nil {
		s.Listeners = *up
	}
	watched, sent := make(map[string]int), d.sessions.SentByPath()
	for _, v := range d.sessions.List() {
		if v.Kind == session.Viewer {
			s.Viewers[metrics.ProtocolOf(v.Protocol)]++
			watched[v.Path]++
		}
	}
	for _, l := range d.leases.List() {
		s.Keepalives[string(l.State)]++
	}
	packager := d.servers.running.Load()
	for _, name := range slices.Sorted(maps.Keys(plan.paths)) {
		c := metrics.Camera{Name: name, State: string(supervise.Idle), Viewers: watched[name], Sent: sent[name]}
		if path := d.relay.Path(name); path != nil { // else it is being applied
			cameraFigures(&c, path, now)
		}
		if packager != nil {
			if st, ok := packager.Status(name); ok {
				c.HLS = hlsFigures(st)
			}
		}
		s.Cameras = append(s.Cameras, c)
	}
	for _, path := range d.relay.Paths() {
		if path.Policy().Runtime {
			s.RuntimePaths++
		}
	}
	return s
}

// refused counts a viewer that got no stream.
func (d *daemon) refused(protocol string, err error) {
	d.metrics.ViewerRefused(protocol, refusalOf(err))
}

// refusalOf returns which of metrics.Refusals an error stands for.
func refusalOf(err error) string {
	switch {
	case errors.Is(err, hub.ErrDenied), media.ClassOf(err) == media.ClassCredentials:
		return "credentials"
	case errors.Is(err, hub.ErrNotFound):
		return "not_found"
	case errors.Is(err, hub.ErrForbidden):
		return "forbidden"
	case errors.Is(err, hub.ErrUnavailable):
		return "unavailable"
	}
	return "other"
}

// cameraFigures fills in what the path knows. Health is judged by who judges it
// for everybody.
func cameraFigures(c *metrics.Camera, path *relay.Path, now time.Time) {
	stats, st := path.Stream().Meter.Stats(now), path.State()
	h, _ := path.Health()
	c.State, c.Warm, c.Wanted = h.State, h.Warm, path.Running()
	c.Up = st.Phase == supervise.Active && h.State != relay.StateStalled
	for _, cond := range h.Conditions {
		c.Conditions = append(c.Conditions, string(cond.Name))
	}
	c.LastPacket, c.LastKey, c.KeyInterval = stats.LastPacket, stats.LastKey, stats.KeyInterval
	c.Received, c.Packets, c.Lost = stats.Bytes, stats.Packets, stats.Lost
	c.Frames, c.Keys = stats.Frames, stats.Keys
	c.Failures, c.Panics = metrics.Failures(st.Failures), st.Panics
}

func hlsFigures(st hls.Status) metrics.HLS {
	return metrics.HLS{Bytes: st.Bytes, Gaps: st.Gaps, Discontinuities: st.Discontinuities, Lost: st.Lost}
}

// figures returns the pushes by name, for the metrics.
func (p *pushes) figures() []metrics.Push {
	var all []metrics.Push
	for _, e := range p.list() {
		protocol, _, _ := strings.Cut(e.URL, "://")
		all = append(all, metrics.Push{
			Name: e.Name, Camera: e.Camera, Protocol: protocol, State: string(e.State.Phase), OnBackup: e.OnBackup,
			Bytes: e.Bytes, Frames: e.Units, Lost: e.Lost, LastSent: e.LastSent, RTT: e.RTT,
			Failures: metrics.Failures(e.State.Failures), Panics: e.State.Panics,
		})
	}
	return all
}

// figures returns the hooks by name, for the metrics.
func (h *hooks) figures() []metrics.Hook {
	var all []metrics.Hook
	status := h.status()
	for _, name := range slices.Sorted(maps.Keys(status)) {
		st := status[name]
		all = append(all, metrics.Hook{
			Name: name, Delivered: st.Delivered, Failed: st.Failed, Dropped: st.Dropped,
			Degraded: st.DegradedSince != nil,
		})
	}
	return all
}

func configFigures(d *daemon) metrics.Config {
	st := d.configStatus()
	c := metrics.Config{
		State: st.State, Generation: st.Generation, Hash: st.AppliedHash,
		Errors: len(st.Errors), Warnings: len(st.Warnings), Problems: len(st.Problems),
	}
	if st.AppliedAt != nil {
		c.Applied = *st.AppliedAt
	}
	return c
}

// free returns the bytes that are free on a file system, 0 if that cannot be told.
func free(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return 0
	}
	return int64(st.Bavail) * st.Bsize
}

// stuck is how long a round of run may take: applying a configuration is a
// matter of seconds.
const stuck = 30 * time.Second

// alive tells whether run goes round, and the service manager would be told so.
func (d *daemon) alive() bool {
	return !d.hangs.Load() && time.Since(d.started)-time.Duration(d.beat.Load()) < stuck
}

// unready tells what of the daemon, not of its cameras, does not work.
func (d *daemon) unready() []string {
	var all []string
	if d.configStatus().AppliedAt == nil {
		all = append(all, "no configuration runs")
	}
	if up := d.servers.up.Load(); up != nil {
		for _, name := range slices.Sorted(maps.Keys(*up)) {
			if !(*up)[name] {
				all = append(all, name+" does not listen as configured")
			}
		}
	}
	return all
}
