package mediatest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePort returns a port of 127.0.0.1 that nothing listens on, of network tcp
// or udp. It is none of those that the kernel gives out by itself, so nobody
// else comes by it before it is used (or used again).
func FreePort(t testing.TB, network string) int {
	t.Helper()
	var lc net.ListenConfig
	var err error
	for range 100 {
		port := 10000 + rand.IntN(22000) // no secret
		at := fmt.Sprintf("127.0.0.1:%d", port)
		if network == "udp" {
			var c net.PacketConn
			if c, err = lc.ListenPacket(t.Context(), network, at); err == nil {
				_ = c.Close()
				return port
			}
			continue
		}
		var ln net.Listener
		if ln, err = lc.Listen(t.Context(), network, at); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatalf("no free port: %v", err)
	return 0
}
