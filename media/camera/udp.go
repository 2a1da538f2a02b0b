package camera

import (
	"context"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"camrelay/media"
)

// datagrams is how many bytes of packets a socket for UDP should hold: some
// hundred milliseconds of a large camera.
const datagrams = 1 << 20

// listenPacket opens a socket with a large receive buffer, as far as the
// system allows.
func listenPacket(network, address string) (net.PacketConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), network, address) // gortsplib's hook has none
	if err != nil {
		return nil, err
	}
	if u, ok := pc.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(datagrams)
	}
	return pc, nil
}

// formatsOf tells gortsplib what comes over UDP. It needs to know no
// more than the payload types.
func formatsOf(o *offer) []format.Format {
	var all []format.Format
	for pt := range uint8(128) {
		if pt == o.track.PayloadType || o.others[pt] {
			all = append(all, &format.Generic{PayloadTyp: pt, RTPMa: o.track.RTPMap, ClockRat: o.track.ClockRate})
		}
	}
	return all
}

// readUDP makes gortsplib's packets, in order of their sequence numbers, go
// the way of TCP's.
func (x *session) readUDP() {
	for id, m := range x.medias {
		l := x.in.lanes[id]
		var buf slab
		take := func(p *rtp.Packet) { x.failed(x.datagram(l, &buf, p, time.Now())) }
		for _, f := range m.Formats {
			x.client.OnPacketRTP(m, f, take)
		}
		x.client.OnPacketRTCP(m, func(p rtcp.Packet) {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				x.failed(x.report(l, sr, time.Now()))
			}
		})
	}
}

// report takes one sender report.
func (x *session) report(l *lane, sr *rtcp.SenderReport, now time.Time) (err error) {
	defer media.Contain(&err)
	x.in.mu.Lock()
	defer x.in.mu.Unlock()
	x.in.senderReport(l, ntpTime(sr.NTPTime), sr.RTPTime, now)
	return nil
}

// datagram takes one packet. What has come is published at the end of a
// picture, by its marker, and otherwise after a beat.
func (x *session) datagram(l *lane, buf *slab, p *rtp.Packet, now time.Time) (err error) {
	defer media.Contain(&err)
	x.in.mu.Lock()
	defer x.in.mu.Unlock()
	n := p.MarshalSize()
	if n > maxFrame-frameHeader {
		return nil
	}
	room := buf.room(frameHeader+n, now)
	wire := room[:frameHeader+n]
	if _, err := p.MarshalTo(wire[frameHeader:]); err != nil {
		return nil // gortsplib has parsed it, so this cannot be
	}
	wire[0], wire[2], wire[3] = '$', byte(n>>8), byte(n)
	buf.w += len(wire)
	buf.r = buf.w
	x.in.packet(l, wire, now)
	if p.Marker || l.track.Kind != media.KindVideo || now.Sub(x.in.since) >= beat {
		x.in.publish(now)
	}
	return nil
}
