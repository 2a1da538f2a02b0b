// Package auth decides who may see a camera. It holds no sessions and speaks
// no protocol: servers hand it what a client presented. All of it may be
// called from any goroutine.
package auth

import (
	"sync/atomic"

	"camrelay/media/hub"
)

// Access is the rule for viewers. The zero value lets nobody in.
type Access struct {
	open atomic.Bool
}

// SetOpen lets anybody view who reaches a port (true), or nobody (false).
func (a *Access) SetOpen(open bool) { a.open.Store(open) }

// View tells whether the request may read the stream it names: nil, or
// hub.ErrDenied if other credentials could help.
func (a *Access) View(hub.Request) error {
	if a.open.Load() {
		return nil
	}
	return hub.ErrDenied
}
