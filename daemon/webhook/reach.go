package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// Why an address is not dialled. It is judged after the DNS has been asked, so
// that a name which has been made to point elsewhere leads nowhere.
var (
	errHere     = errors.New("the name of the hook leads to this box itself: write 127.0.0.1 if that is meant")
	errNowhere  = errors.New("the hook's address is of no single host")
	errNextDoor = errors.New("the hook's address is link-local, where clouds keep their secrets")
)

// reach judges the addresses of one hook.
type reach struct {
	here bool // the hook's URL says in so many words that it is on this box
}

// reachOf returns what a hook at that host may be reached at.
func reachOf(host string) reach {
	ip, err := netip.ParseAddr(host)
	return reach{here: err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")}
}

// judge returns why an address is not dialled, nil if it is.
func (r reach) judge(ip netip.Addr) error {
	switch ip = ip.Unmap().WithZone(""); {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errNowhere
	case ip.IsLoopback() && !r.here:
		return errHere
	case ip.IsLinkLocalUnicast(), ip == netip.MustParseAddr("fd00:ec2::254"):
		return errNextDoor
	}
	return nil
}

// dial connects to an address that may be reached. Its error is no errNowhere
// and the like if one of a name's addresses may be.
func (r reach) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return errNowhere
		}
		return r.judge(at.Addr())
	}}
	return d.DialContext(ctx, network, address)
}
