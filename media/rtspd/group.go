package rtspd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"camrelay/media"
	"camrelay/media/hub"
)

// group is an address that a stream is sent to, with all its tracks, while
// somebody plays. The sender is a viewer with many who watch.
type group struct {
	key    groupKey
	cfg    Multicast
	counts *counts
	addr   netip.Addr
	tracks []*media.Track
	users  int // sessions, and those who play; guarded by the mu of groups

	out  *ipv4.PacketConn // of udp
	udp  *net.UDPConn     // sends RTP and RTCP
	rtcp []*net.UDPConn   // one for each track, hear the reports of viewers
	work sync.WaitGroup   // senders, and readers of rtcp

	mu  sync.Mutex // guards what follows, and the members of every sending
	now *sending   // nil while nobody plays
}

// sending is a run of the sender, from the first viewer to the last.
type sending struct {
	members map[*member]struct{}
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // why it ended by itself, once done is closed
}

// member is a viewer who plays.
type member struct {
	sub  *hub.Subscription
	conn *conn
}

// open binds what the group needs. Being a member of it, the box is sent what
// viewers report, and by switches nothing else.
func (g *group) open(ifi *net.Interface) (err error) {
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if last := g.port(len(g.tracks)) - 1; last > 1<<16-1 {
		return fmt.Errorf("%d tracks need ports up to %d", len(g.tracks), last)
	}
	if g.udp, err = listenUDP("0.0.0.0", 0); err != nil {
		return err
	}
	g.out = ipv4.NewPacketConn(g.udp)
	if err := g.out.SetMulticastTTL(g.cfg.TTL); err != nil {
		return err
	}
	if ifi != nil {
		if err := g.out.SetMulticastInterface(ifi); err != nil {
			return err
		}
	}
	// The system would hand each packet to itself as well, since we are a member.
	if err := g.out.SetMulticastLoopback(false); err != nil {
		return err
	}
	for i := range g.tracks {
		c, err := joinUDP(netip.AddrPortFrom(g.addr, uint16(g.port(i)+1)), ifi)
		if err != nil {
			return err
		}
		g.rtcp = append(g.rtcp, c)
		g.work.Go(func() { g.hear(c) })
	}
	return nil
}

// close leaves the group. Nobody plays.
func (g *group) close() {
	for _, c := range append(g.rtcp, g.udp) {
		if c != nil {
			c.Close()
		}
	}
	g.work.Wait()
}

// joinUDP binds a port of a group alone: net would bind it of all addresses.
func joinUDP(at netip.AddrPort, ifi *net.Interface) (*net.UDPConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "rtcp")
	defer f.Close() // FilePacketConn makes a copy
	// Players on this box bind it too.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	if err := ipv4.NewPacketConn(c).JoinGroup(ifi, net.UDPAddrFromAddrPort(at)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// port returns that of RTP of a track.
func (g *group) port(track int) int { return g.cfg.Port + 2*track }

// hear takes the reports of viewers for signs of life until c is closed.
func (g *group) hear(c *net.UDPConn) {
	var b [1500]byte
	for {
		n, from, err := c.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return
		}
		if isReceiverReport(b[:n]) {
			g.heard(from.Addr())
		}
	}
}

// isReceiverReport tells whether a packet begins with a receiver report (RFC
// 3550 §6.4.2), as compounds of those do who send no media.
func isReceiverReport(b []byte) bool { return len(b) >= 8 && b[0]>>6 == 2 && b[1] == 201 }

// heard notes that somebody at addr is there. Which of the viewers at this
// address it is cannot be told.
func (g *group) heard(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil {
		return
	}
	for m := range g.now.members {
		if m.conn.peer() == addr {
			m.conn.idle(pausedTimeout)
		}
	}
}

// play has the stream sent until ctx is done or that fails, and returns why.
func (g *group) play(ctx context.Context, m *member) error {
	if m.conn.fromHere() {
		// Where it fails a player on this box gets nothing.
		_ = g.out.SetMulticastLoopback(true)
	}
	s := g.enter(ctx, m)
	defer g.exit(s, m)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.done:
		return s.err
	}
}

func (g *group) enter(ctx context.Context, m *member) *sending {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it may outlive the first viewer
		s := &sending{members: make(map[*member]struct{}), cancel: cancel, done: make(chan struct{})}
		g.now = s
		g.work.Go(func() { g.send(ctx, s) })
	}
	g.now.members[m] = struct{}{}
	return g.now
}

// exit ends the sending with its last member.
func (g *group) exit(s *sending, m *member) {
	g.mu.Lock()
	delete(s.members, m)
	last := len(s.members) == 0
	if last && g.now == s {
		g.now = nil
	}
	g.mu.Unlock()
	if last {
		s.cancel()
		<-s.done
	}
}

// send is the sender.
func (g *group) send(ctx context.Context, s *sending) {
	lanes := newLanes(g.tracks)
	for i := range lanes {
		l := &lanes[i]
		l.up = true
		l.rtp = net.UDPAddrFromAddrPort(netip.AddrPortFrom(g.addr, uint16(g.port(i))))
		l.rtcp = netip.AddrPortFrom(g.addr, uint16(g.port(i)+1))
	}
	v := &viewer{
		stream: g.key.stream, name: "rtsp multicast " + g.addr.String(), lanes: lanes, mode: startLive, paced: true,
		out: newUDPSender(g.udp, g.udp, func(n int) { g.counts.lost.Add(int64(n)) }),
		taken: func(bytes int64, _ int, lost uint64) {
			g.counts.lost.Add(int64(lost))
			g.taken(s, bytes)
		},
	}
	g.counts.groups.Add(1)
	s.err = v.run(ctx)
	g.counts.groups.Add(-1)
	g.mu.Lock()
	if g.now == s {
		g.now = nil
	}
	g.mu.Unlock()
	close(s.done)
}

// taken tells all who play what was sent: each of them has it.
func (g *group) taken(s *sending, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for m := range s.members {
		m.sub.Sent.Add(uint64(bytes))
	}
}

// answer makes the answer to a SETUP tell where a track is sent (RFC 2326 §12.39).
func (g *group) answer(res *base.Response, track int) {
	multicast, ttl := headers.TransportDeliveryMulticast, uint(g.cfg.TTL)
	to := net.IP(g.addr.AsSlice())
	res.Header["Transport"] = headers.Transport{
		Protocol: headers.TransportProtocolUDP, Delivery: &multicast, Destination: &to,
		Ports: &[2]int{g.port(track), g.port(track) + 1}, TTL: &ttl,
	}.Marshal()
	var session headers.Session
	if session.Unmarshal(res.Header["Session"]) == nil {
		timeout := uint(sessionTimeout.Seconds())
		session.Timeout = &timeout
		res.Header["Session"] = session.Marshal()
	}
}
