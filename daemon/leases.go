package daemon

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/keepalive"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
)

// leasePaths are the relay's paths, for keepalives. Each lease that is attached
// is a claim and a session.
type leasePaths struct{ d *daemon }

// leaseProtocol is the protocol of a keepalive's session.
const leaseProtocol = "KEEPALIVE"

// Claim implements keepalive.Paths.
func (p leasePaths) Claim(
	path string, l keepalive.Lease, fresh bool, ended func(reason string, pause time.Duration),
) (release func(), ok bool) {
	unclaim, ok := p.d.relay.Claim(path, relay.Claim{
		ID: l.ID, Kind: relay.ClaimKeepalive, By: leaseName(l), Starts: true, Holds: true, Resumes: fresh,
	})
	if !ok {
		return nil, false
	}
	s, ctx := p.d.sessions.Open(context.Background(), session.Info{
		Kind: session.Keepalive, Protocol: leaseProtocol, Path: path, Remote: l.CreatorIP, User: l.CreatorUser,
	}, nil)
	stop := context.AfterFunc(ctx, func() {
		kicked, ok := errors.AsType[*session.KickError](context.Cause(ctx))
		if !ok || p.d.relay.Path(path) == nil {
			return // the path is gone, and its leases with it
		}
		ended(kicked.Error(), cmp.Or(kicked.HoldOff, leasePause))
	})
	return func() {
		stop()
		s.Close(context.Canceled)
		unclaim()
	}, true
}

// leasePause is how long a keepalive stays away whose session was ended without
// a hold-off. Who wants it to end for good removes it.
const leasePause = time.Minute

// leaseName is a keepalive for people. Who comes by the unix socket has no address.
func leaseName(l keepalive.Lease) string {
	return "keepalive of " + cmp.Or(l.Label, l.Name, l.CreatorUser, l.CreatorIP, "the box itself")
}

// Health implements keepalive.Paths.
func (p leasePaths) Health(path string) (h keepalive.Health, changed <-chan struct{}, ok bool) {
	found := p.d.relay.Path(path)
	if found == nil {
		return h, nil, false
	}
	is, changed := found.Health()
	return keepalive.Health{Warm: is.Warm, Media: is.State == relay.StateDegraded, Reason: is.Reason}, changed, true
}

// applyLeases gives the leases their paths: those that have appeared and those
// that are gone. It comes after the relay has them and before anybody is let in.
func (d *daemon) applyLeases(p plan) {
	d.leases.SetDeclared(p.keepalives)
	for name := range p.paths {
		d.leases.PathAdded(name)
	}
	for _, l := range d.leases.List() {
		if d.relay.Path(l.Path) == nil {
			d.leases.PathRemoved(l.Path, "there is no camera "+l.Path+" in the configuration")
		}
	}
}

// forgetSource removes what a path has left that was added at run time.
func (d *daemon) forgetSource(path string) {
	d.servers.removeHLS(path)
	if d.relay.Path(path) == nil {
		d.leases.PathRemoved(path, "path removed")
		d.pushes.cameraGone(path)
	}
}

// boot names this boot of the box and says how long ago it was.
// File: /proc/sys/kernel/random/boot_id, /proc/uptime (proc_uptime(5)).
func boot() (id string, up time.Duration) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0
	}
	u, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return "", 0
	}
	first, _, _ := strings.Cut(string(u), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return "", 0
	}
	return strings.TrimSpace(string(b)), time.Duration(seconds * float64(time.Second))
}
