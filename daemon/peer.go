package daemon

import (
	"context"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"camrelay/daemon/api"
)

// withPeer notes of a connection to the unix socket that root, or the daemon's
// own user, is at its other end: the kernel says so, and no password is needed.
// It is the ConnContext of an http.Server.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = wrapped.NetConn()
	}
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx // it is closed already
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || failed != nil || !owns(int(peer.Uid), os.Geteuid()) {
		return ctx
	}
	return api.AsOwner(ctx)
}

// owns tells whether a user may do everything with a daemon of the user self.
func owns(user, self int) bool { return user == 0 || user == self }
