package camera

import (
	"context"
	"net"
	"time"
)

const (
	// reachEvery is how often a camera that is out of reach is looked for: one
	// SYN, no login, nothing that it counts.
	reachEvery   = 2 * time.Second
	reachTimeout = 2 * time.Second
)

// AwaitReturn waits until a camera that is out of reach takes connections
// again, and returns true. It returns false at once if the camera takes them
// now, which then is not what fails, and when ctx is done.
func AwaitReturn(ctx context.Context, spec Spec) bool {
	t, err := spec.target()
	if err != nil || reachable(ctx, t.addr) {
		return false
	}
	tick := time.NewTicker(reachEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		if reachable(ctx, t.addr) {
			return ctx.Err() == nil
		}
	}
}

func reachable(ctx context.Context, addr string) bool {
	d := net.Dialer{Timeout: reachTimeout}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}
