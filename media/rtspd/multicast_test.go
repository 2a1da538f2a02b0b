package rtspd

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"golang.org/x/net/ipv4"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// toLo is multicast by the interface lo, at ports that are free.
func toLo(t *testing.T, network string) Multicast {
	t.Helper()
	rtp, rtcp, err := listenPair("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rtp.Close()
	defer rtcp.Close()
	port := rtp.LocalAddr().(*net.UDPAddr).Port
	return Multicast{Network: netip.MustParsePrefix(network), Port: port, TTL: 3, Interface: "lo"}
}

var multicastAnswer = regexp.MustCompile(`^RTP/AVP;multicast;destination=(239\.255\.[0-9.]+);port=(\d+)-(\d+);ttl=3$`)

// joined is what the answer to a SETUP says, and sockets that hear it.
func joined(t *testing.T, res response) (group string, rtp, rtcp *net.UDPConn) {
	t.Helper()
	m := multicastAnswer.FindStringSubmatch(res.header.Get("Transport"))
	if m == nil {
		t.Fatalf("the answer is %q", res.header.Get("Transport"))
	}
	if s := res.header.Get("Session"); !strings.HasSuffix(s, ";timeout=60") {
		t.Errorf("the session is %q", s)
	}
	return m[1], join(t, m[1]+":"+m[2]), join(t, m[1]+":"+m[3])
}

func join(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	c, err := joinUDP(netip.MustParseAddrPort(addr), lo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c
}

// isMember tells whether this box is a member of a group.
func isMember(t *testing.T, group string) bool {
	t.Helper()
	all, err := os.ReadFile("/proc/net/igmp")
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr(group).As4()
	return strings.Contains(string(all), fmt.Sprintf("%08X", binary.NativeEndian.Uint32(a[:])))
}

// wantPackets fails unless c receives these and no others.
func wantPackets(t *testing.T, c *net.UDPConn, want [][]byte) {
	t.Helper()
	buf := make([]byte, 2048)
	for i, w := range want {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", i, len(want), err)
		}
		if !bytes.Equal(buf[:n], w[4:]) {
			t.Fatalf("packet %d differs", i)
		}
	}
}

func TestMulticastIsSentOnceForAll(t *testing.T) {
	cam := newCamera(t, mediatest.H264AAC)
	cam.publish(t, 20) // is not sent
	s := serve(t, Config{Multicast: toLo(t, "239.255.0.0/16")}, cam.stream)
	one, two := dial(t, s, "gate"), dial(t, s, "gate")
	one.want(200, "DESCRIBE", one.url)
	group, a, reports := joined(t, one.setup(0, "RTP/AVP;multicast"))
	_, sound, third := joined(t, one.setup(1, "RTP/AVP;multicast"))
	same, b, others := joined(t, two.setup(0, "RTP/AVP/UDP;multicast;port=9000-9001;ttl=127"))
	if same != group {
		t.Fatalf("the second viewer is sent to %s, the first to %s", same, group)
	}
	one.want(200, "PLAY", one.url)
	two.want(200, "PLAY", two.url)
	eventually(t, "both play", func() bool {
		return s.server.Stats().Readers == 2 && cam.stream.Packets.Readers() == 1
	})
	if n := s.server.Stats().Groups; n != 1 {
		t.Errorf("%d senders", n)
	}
	cam.toKey(t)
	fed := cam.publish(t, 30)
	wantPackets(t, a, frames(fed, 0))
	wantPackets(t, b, frames(fed, 0))
	wantPackets(t, sound, frames(fed, 1))
	buf := make([]byte, 2048)
	n, err := reports.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := rtcp.Unmarshal(buf[:n]); err != nil || all[0].(*rtcp.SenderReport).SSRC != 1000 {
		t.Errorf("RTCP is %v, %v", all, err)
	}

	one.want(200, "TEARDOWN", one.url)
	if err := s.reason(t); !errors.Is(err, errTeardown) {
		t.Errorf("ended because %v", err)
	}
	fed = cam.publish(t, 20)
	wantPackets(t, a, frames(fed, 0)) // for the second viewer, on a socket that is still there
	for _, c := range []*net.UDPConn{a, b, sound, reports, third, others} {
		c.Close()
	}
	if !isMember(t, group) {
		t.Error("the group was left while somebody plays")
	}
	s.kick(errors.New("kicked"))
	two.closed()
	eventually(t, "nothing is sent", func() bool {
		st := s.server.Stats()
		return st.Groups == 0 && st.Readers == 0 && cam.stream.Packets.Readers() == 0
	})
	eventually(t, "the group is left", func() bool { return !isMember(t, group) })
}

func TestMulticastGoesOnAfterAPause(t *testing.T) {
	cam := newCamera(t, mediatest.H264)
	s := serve(t, Config{Multicast: toLo(t, "239.255.0.0/16")}, cam.stream)
	p := dial(t, s, "gate")
	_, c, _ := joined(t, p.setup(0, "RTP/AVP;multicast"))
	for range 2 {
		p.want(200, "PLAY", p.url)
		eventually(t, "it plays", func() bool { return cam.stream.Packets.Readers() == 1 })
		cam.toKey(t)
		wantPackets(t, c, frames(cam.publish(t, 5), 0))
		p.want(200, "PAUSE", p.url)
		eventually(t, "nothing is sent", func() bool { return cam.stream.Packets.Readers() == 0 })
	}
}

func TestMulticastWhereItIsOffered(t *testing.T) {
	const unicast, multicast = "RTP/AVP;unicast;client_port=40000-40001", "RTP/AVP;multicast"
	const either = unicast + ", " + multicast
	on, cam := toLo(t, "239.255.0.0/16"), newCamera(t, mediatest.H264AAC)
	for name, tc := range map[string]struct {
		cfg    Config
		asked  string
		status int
		answer string // what it begins with
	}{
		"it is off":                           {Config{}, multicast, 461, ""},
		"it is off, there is another choice":  {Config{}, multicast + "," + unicast, 200, "RTP/AVP;unicast"},
		"it is the first choice":              {Config{Multicast: on}, multicast + "," + unicast, 200, "RTP/AVP;multicast"},
		"it is the second choice":             {Config{Multicast: on}, either, 200, "RTP/AVP;unicast"},
		"there is no unicast":                 {Config{Multicast: on, RTPPort: -1}, either, 200, "RTP/AVP;m"},
		"encrypted packets are not for all":   {Config{Multicast: on}, "RTP/SAVP;multicast", 461, ""},
		"nobody records by it":                {Config{Multicast: on}, multicast + ";mode=record", 400, ""},
		"the interface is gone":               {Config{Multicast: without(on)}, multicast, 461, ""},
		"interleaved frames are as they were": {Config{Multicast: on}, "RTP/AVP/TCP;interleaved=4-5", 200, "RTP/AVP/TCP"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tc.cfg, cam.stream)
			p := dial(t, s, "gate")
			p.want(200, "DESCRIBE", p.url)
			res := p.want(tc.status, "SETUP", p.url+"/trackID=0", "Transport: "+tc.asked)
			if got := res.header.Get("Transport"); !strings.HasPrefix(got, tc.answer) {
				t.Errorf("the answer is %q", got)
			}
			if !strings.HasPrefix(tc.answer, "RTP/AVP;m") {
				return
			}
			p.session, _, _ = strings.Cut(res.header.Get("Session"), ";")
			p.want(400, "SETUP", p.url+"/trackID=1", "Transport: RTP/AVP/TCP;interleaved=0-1")
		})
	}
	if newGroups(New(Config{Multicast: on, TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, nil, nil)) != nil {
		t.Error("packets of a session over TLS would be in clear")
	}
}

func without(m Multicast) Multicast {
	m.Interface = "no such one"
	return m
}

func TestMulticastAddresses(t *testing.T) {
	gate, yard := hub.NewStream("gate"), hub.NewStream("yard")
	gate.SetTracks([]*media.Track{video})
	yard.SetTracks([]*media.Track{video})
	s := serve(t, Config{Multicast: toLo(t, "239.255.77.6/31")}, gate, yard)
	one, two, three := dial(t, s, "gate"), dial(t, s, "yard"), dial(t, s, "yard?start=live")
	a, _, _ := joined(t, one.setup(0, "RTP/AVP;multicast"))
	b, _, _ := joined(t, two.setup(0, "RTP/AVP;multicast"))
	c, _, _ := joined(t, three.setup(0, "RTP/AVP;multicast"))
	if a == b || b != c || !strings.HasPrefix(a, "239.255.77.") {
		t.Errorf("gate is sent to %s, yard to %s and %s", a, b, c)
	}
	// A camera whose tracks have changed is another stream to who asks now.
	changed := *video
	changed.PayloadType++
	gate.SetTracks([]*media.Track{&changed})
	four := dial(t, s, "gate")
	four.want(461, "SETUP", four.url+"/trackID=0", "Transport: RTP/AVP;multicast")
	one.conn.Close()
	if err := s.reason(t); !errors.Is(err, hub.ErrNotFound) && !errors.Is(err, errClosed) {
		t.Errorf("ended because %v", err)
	}
	eventually(t, "the address is free", func() bool {
		return four.do("SETUP", four.url+"/trackID=0", "Transport: RTP/AVP;multicast").status == 200
	})
}

// TestAReceiverReportIsASignOfLife has a connection whose time is over.
func TestAReceiverReportIsASignOfLife(t *testing.T) {
	gs := newGroups(New(Config{Multicast: toLo(t, "239.255.0.0/16")}, nil, nil))
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	g, err := gs.join(groupKey{stream: hub.NewStream("gate")}, lo, []*media.Track{video})
	if err != nil {
		t.Fatal(err)
	}
	defer gs.leave(g)
	l, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	player, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer player.Close()
	tcp, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	m := &member{sub: &hub.Subscription{}, conn: &conn{wire: newWire(tcp, time.Minute)}}
	defer g.exit(g.enter(t.Context(), m), m)
	if _, err := player.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	m.conn.idle(-time.Second)
	if _, err := m.conn.Read(make([]byte, 1)); err == nil || !errors.Is(m.conn.why(), errTimeout) {
		t.Fatalf("the time of the connection is not over: %v, %v", err, m.conn.why())
	}
	report, err := (&rtcp.ReceiverReport{}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(g.addr, uint16(g.port(0)+1))
	viewer, err := listenUDP("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Close()
	if err := ipv4.NewPacketConn(viewer).SetMulticastInterface(lo); err != nil {
		t.Fatal(err)
	}
	if _, err := viewer.WriteToUDPAddrPort(report, to); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection has more time", func() bool {
		_, err := tcp.Read(make([]byte, 1))
		return err == nil
	})
	if own := appendReport(nil, 1, time.Now(), 0, 0, 0); isReceiverReport(own) {
		t.Error("what we report ourselves is no sign of life")
	}
}
