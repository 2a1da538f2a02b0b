package daemon

import (
	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
)

// What happens in the rooms becomes events here. None of it blocks.

// pathEvent is the relay's observer.
func (d *daemon) pathEvent(e relay.Event) {
	data := make(map[string]any)
	switch e.Type {
	case relay.NoneReader:
		var held []string
		for _, c := range e.Held {
			held = append(held, string(c.Kind)+" "+c.By)
		}
		data["since"], data["bytes"], data["held_by"] = e.Since, e.Bytes, held
	case relay.HealthRaised, relay.HealthCleared:
		data["condition"] = e.Condition.Name
		if e.Type == relay.HealthCleared {
			data["recovered"] = e.Recovered
		}
	case relay.NotFound:
		data["protocol"], data["remote_addr"] = e.Protocol, e.Remote
	}
	d.events.Append(webhook.Event{Time: e.At, Type: string(e.Type), Path: e.Path, Reason: e.Reason, Data: data})
}

// sessionEvent is the observer of the registry.
func (d *daemon) sessionEvent(e session.Event) {
	s := e.Session
	switch {
	case s.Kind != session.Viewer:
	case e.Type == session.Opened:
		d.metrics.ViewerOpened(s.Protocol)
	default:
		d.metrics.ViewerClosed(s.Protocol, s.Reason)
	}
	data := map[string]any{
		"kind": s.Kind, "protocol": s.Protocol, "remote_addr": s.Remote, "user": s.User,
	}
	if e.Type == session.Closed {
		data["read_bytes_sum"], data["wrote_bytes_sum"] = s.Read, s.Wrote
		data["uptime_seconds"] = s.Uptime
	}
	d.events.Append(webhook.Event{
		Type: "session." + string(e.Type), Path: s.Path, Session: s.ID, Reason: s.Reason, Data: data,
	})
}

// leaseEvent is the observer of the keepalives.
func (d *daemon) leaseEvent(e keepalive.Event) {
	d.events.Append(webhook.Event{
		Type: "keepalive." + string(e.Type), Path: e.Lease.Path, Reason: e.Reason,
		Data: map[string]any{"id": e.Lease.ID, "state": e.Lease.State, "label": e.Lease.Label},
	})
}

// pushEvent is the observer of the pushes.
func (d *daemon) pushEvent(e pushEvent) {
	d.logPush(e)
	d.events.Append(webhook.Event{
		Type: "push." + e.kind, Path: e.spec.camera, Reason: e.reason,
		Data: map[string]any{"push": e.name, "url": e.inUse.shown, "attempt": e.attempt},
	})
}

// logPush tells people of what has become of a push.
func (d *daemon) logPush(e pushEvent) {
	log := d.log.With("push", e.name, "cam", e.spec.camera)
	switch supervise.Phase(e.kind) {
	case supervise.Active:
		log.Info("push is up", "url", e.inUse.shown)
	case supervise.Reconnecting:
		log.Warn("push is not well", "reason", e.reason)
	case supervise.Failed:
		log.Error("push has failed and is not tried again", "reason", e.reason)
	default: // somebody's doing, who knows of it
	}
}

// configEvent tells that the files were applied or rejected.
func (d *daemon) configEvent(state, reason, hash string, generation int) {
	d.events.Append(webhook.Event{
		Type: "config." + state, Reason: reason, Data: map[string]any{"generation": generation, "hash": hash},
	})
}
