package keepalive

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// declarer is who declares leases, for people.
const declarer = "the configuration"

// SetDeclared makes the declared leases those of the configuration, by name. A
// lease keeps its identity as long as its name is declared, also over a restart.
// Those whose path exists are attached when it returns.
func (k *Leases) SetDeclared(all map[string]Declared) {
	now := time.Now()
	var releases []func()
	k.mu.Lock()
	names := make(map[string]*lease)
	for _, l := range slices.Clone(k.leases) {
		if l.Owner != OwnerConfig {
			continue
		}
		if _, ok := all[l.Name]; ok {
			names[l.Name] = l
			continue
		}
		if l.dormant {
			k.forget(func(other *lease) bool { return other == l })
			k.touch(l)
			continue
		}
		releases = append(releases, k.remove(l, "it is not declared any more", declarer))
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if l := names[name]; l != nil {
			releases = append(releases, k.redeclare(l, all[name], now))
			continue
		}
		names[name] = k.declare(name, all[name], now)
	}
	k.mu.Unlock()
	for _, release := range releases {
		release()
	}
	k.tell()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		k.attach(names[name], false)
	}
}

// declare adds a declared lease. mu is held.
func (k *Leases) declare(name string, d Declared, now time.Time) *lease {
	l := &lease{Lease: Lease{
		ID: uuid.NewString(), Created: now.Round(0), Path: d.Path, Label: d.Label, Priority: d.Priority,
		Owner: OwnerConfig, Name: name, State: Waiting, Reason: reasonNew, Since: now,
	}}
	k.leases = append(k.leases, l)
	k.touch(l)
	k.event(Added, l, "", declarer)
	return l
}

// redeclare gives a declared lease what the configuration says by now, and
// returns what lets go of the path it had. mu is held.
func (k *Leases) redeclare(l *lease, d Declared, now time.Time) (release func()) {
	release = func() {}
	moved := l.Path != d.Path
	if moved || l.Label != d.Label || l.Priority != d.Priority {
		k.touch(l)
	}
	l.Path, l.Label, l.Priority, l.dormant = d.Path, d.Label, d.Priority, false
	if moved {
		release = l.detach()
		k.become(l, Waiting, "it was moved to this path", now)
	}
	k.stir(l.Path)
	return release
}

// PathAdded attaches the leases of a path, which exists from now on, or whose
// policy has changed: it may be called often.
func (k *Leases) PathAdded(path string) {
	for _, l := range k.on(path) {
		k.attach(l, false)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stir(path)
}

// PathRemoved ends the leases of a path that does not exist any more. Declared
// ones wait. reason is for people.
func (k *Leases) PathRemoved(path, reason string) {
	now := time.Now()
	var releases []func()
	k.mu.Lock()
	for _, l := range slices.Clone(k.leases) {
		switch {
		case l.Path != path || l.dormant:
		case k.closed: // the path goes because everything does
			releases = append(releases, l.detach())
		case l.Owner == OwnerConfig:
			releases = append(releases, l.detach())
			k.become(l, Waiting, reasonNoPath, now)
		default:
			releases = append(releases, k.remove(l, reason, ""))
		}
	}
	k.stir(path)
	k.mu.Unlock()
	for _, release := range releases {
		release()
	}
	k.tell()
}
