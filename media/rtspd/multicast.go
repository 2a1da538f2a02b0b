package rtspd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"

	"camrelay/media"
	"camrelay/media/hub"
)

// Multicast says where packets go to viewers who ask for multicast. They are
// sent once however many these are, and whoever is on the network can take them.
type Multicast struct {
	Network   netip.Prefix // of IPv4, each stream has an address of it; the zero value turns multicast off
	Port      int          // even, of RTP of a stream's first track; RTCP has the next, other tracks the next pairs
	TTL       int          // 1 to 255; 1 stays in the LAN
	Interface string       // empty: that by which the viewer who asks reaches us
}

// groups are those that are sent to: one for each stream and interface. The
// library's own would take an address and two sockets per track and interface,
// and wake up for each packet it has sent.
type groups struct {
	cfg    Multicast
	counts *counts
	udp    bool // viewers may have unicast too

	mu  sync.Mutex // guards what follows
	all map[groupKey]*group
}

// groupKey is what viewers have in common who can share packets.
type groupKey struct {
	stream *hub.Stream
	desc   string // of the tracks
	iface  int    // index, 0: the system's choice
}

// newGroups returns nil without multicast, and for TLS, since packets would be in clear.
func newGroups(s *Server) *groups {
	if s.cfg.TLS != nil || !s.cfg.Multicast.Network.IsValid() {
		return nil
	}
	return &groups{
		cfg: s.cfg.Multicast, counts: &s.counts, udp: s.cfg.RTPPort >= 0, all: make(map[groupKey]*group),
	}
}

// take tells whether the request is a SETUP whose first transport that we have
// is multicast. If so it makes the request one for interleaved frames: those are
// what the library sends none of, and it leaves the rest of the session to us.
func (gs *groups) take(req *base.Request) bool {
	var all headers.Transports
	if gs == nil || req.Method != base.Setup || all.Unmarshal(req.Header["Transport"]) != nil {
		return false
	}
	for _, t := range all {
		multicast := t.Delivery != nil && *t.Delivery == headers.TransportDeliveryMulticast
		switch {
		case t.Secure || t.Protocol == headers.TransportProtocolUDP && !multicast && !gs.udp:
		case t.Protocol != headers.TransportProtocolUDP || !multicast:
			return false
		default:
			unicast := headers.TransportDeliveryUnicast
			tcp := headers.Transport{Protocol: headers.TransportProtocolTCP, Delivery: &unicast, Mode: t.Mode}
			req.Header["Transport"] = tcp.Marshal()
			return true
		}
	}
	return false
}

// joinGroup makes the session one of the group that the stream is sent to, if
// the SETUP in hand wants multicast.
func (c *client) joinGroup(desc string) error {
	c.group = nil
	if !c.multicast {
		return nil
	}
	c.mu.Lock()
	sub := c.sub
	c.mu.Unlock()
	if sub == nil {
		return errClosed
	}
	ifi, err := c.handler.groups.leaveBy(c.conn)
	if err != nil {
		return err
	}
	tracks := make([]*media.Track, len(c.lanes))
	for i := range c.lanes {
		tracks[i] = c.lanes[i].track
	}
	c.group, err = c.handler.groups.join(groupKey{stream: sub.Stream, desc: desc}, ifi, tracks)
	return err
}

var errNoInterface = errors.New("no interface has the address at which the viewer has called")

// leaveBy returns the interface that packets for a viewer leave by, nil for the
// system's choice, which is also where players on this box look for them.
func (gs *groups) leaveBy(c *conn) (*net.Interface, error) {
	if gs.cfg.Interface != "" {
		ifi, err := net.InterfaceByName(gs.cfg.Interface)
		if err != nil {
			return nil, fmt.Errorf("cannot use the interface %s: %w", gs.cfg.Interface, err)
		}
		return ifi, nil
	}
	if c.fromHere() {
		return nil, nil
	}
	local := c.LocalAddr().(*net.TCPAddr).IP
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, ifi := range all {
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addrs {
			if ipn, ok := a.(*net.IPNet); ok && ipn.IP.Equal(local) {
				return &ifi, nil
			}
		}
	}
	return nil, errNoInterface
}

// join returns the group of key on an interface, which is opened for the first one.
func (gs *groups) join(key groupKey, ifi *net.Interface, tracks []*media.Track) (*group, error) {
	if ifi != nil {
		key.iface = ifi.Index
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.all[key]
	if g == nil {
		addr, err := gs.free()
		if err != nil {
			return nil, err
		}
		g = &group{key: key, cfg: gs.cfg, counts: gs.counts, addr: addr, tracks: tracks}
		if err := g.open(ifi); err != nil { // binds, and waits for nobody
			return nil, fmt.Errorf("cannot send to %s: %w", addr, err)
		}
		gs.all[key] = g
	}
	g.users++
	return g, nil
}

// hold is join for who plays in a group: the session may end before that does.
func (gs *groups) hold(g *group) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.users++
}

// leave gives a group back, if there is one. The last one to do so closes it.
func (gs *groups) leave(g *group) {
	if g == nil {
		return
	}
	gs.mu.Lock()
	g.users--
	last := g.users == 0
	if last {
		delete(gs.all, g.key)
	}
	gs.mu.Unlock()
	if last {
		g.close()
	}
}

var errNoAddress = errors.New("all addresses of the multicast network are in use")

// free returns an address that no group has. It is taken by chance, so that
// boxes which share a network seldom take the same. mu is held.
func (gs *groups) free() (netip.Addr, error) {
	used := make(map[netip.Addr]bool)
	for _, g := range gs.all {
		used[g.addr] = true
	}
	size := 1 << (32 - gs.cfg.Network.Bits())
	first := gs.cfg.Network.Masked().Addr().As4()
	base, start := binary.BigEndian.Uint32(first[:]), rand.IntN(size)
	for i := range min(size, len(used)+1) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], base+uint32((start+i)%size))
		if a := netip.AddrFrom4(b); !used[a] {
			return a, nil
		}
	}
	return netip.Addr{}, errNoAddress
}
