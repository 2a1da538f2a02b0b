package rtspd

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"camrelay/media"
)

// Lengths of the headers in front of the payload of an interleaved frame.
const (
	frameHeader = media.InterleavedHeader
	rtpHeader   = 12
)

// sender puts packets on the wire. add and report only queue; the slices given
// to them stay untouched until flush.
type sender interface {
	// add queues the packets of a run of interleaved frames, stamped ts.
	add(l *lane, wire []byte, ts uint32)
	// report queues an RTCP packet.
	report(l *lane, packet []byte)
	// flush sends what is queued and returns the bytes that went out.
	flush(ctx context.Context, now time.Time) (int64, error)
}

// stamp returns the RTP timestamp of the first packet in wire.
func stamp(wire []byte) uint32 { return binary.BigEndian.Uint32(wire[frameHeader+4:]) }

// arena hands out small slices that live until it is emptied.
type arena []byte

func (a *arena) take(n int) []byte {
	if cap(*a)-len(*a) < n {
		*a = make([]byte, 0, max(1024, 2*cap(*a), n)) // what was taken stays where it is
	}
	k := len(*a)
	*a = (*a)[:k+n]
	return (*a)[k : k+n : k+n]
}

// tcpSender sends frames over the control connection (RFC 2326 §10.12).
type tcpSender struct {
	wire *wire
	bufs net.Buffers
	heap arena // headers that differ from the camera's
}

func (s *tcpSender) add(l *lane, wire []byte, ts uint32) {
	if wire[1] == l.channel && stamp(wire) == ts {
		s.bufs = append(s.bufs, wire)
		return
	}
	for len(wire) >= frameHeader+rtpHeader {
		n := min(frameHeader+int(binary.BigEndian.Uint16(wire[2:])), len(wire))
		head := s.heap.take(frameHeader + rtpHeader)
		copy(head, wire)
		head[1] = l.channel
		binary.BigEndian.PutUint32(head[frameHeader+4:], ts)
		s.bufs = append(s.bufs, head, wire[len(head):n])
		wire = wire[n:]
	}
}

func (s *tcpSender) report(l *lane, packet []byte) {
	b := s.heap.take(frameHeader + len(packet))
	b[0], b[1], b[2], b[3] = '$', l.channel+1, byte(len(packet)>>8), byte(len(packet))
	copy(b[frameHeader:], packet)
	s.bufs = append(s.bufs, b)
}

func (s *tcpSender) flush(_ context.Context, now time.Time) (int64, error) {
	n, err := s.wire.writeMedia(s.bufs, now)
	clear(s.bufs)
	s.bufs, s.heap = s.bufs[:0], s.heap[:0]
	return n, err
}

// Pace of UDP: a client has room for some 90 full packets in a socket buffer of
// default size, and a group of pictures at once would overrun it.
const (
	paceBurst = 48                   // packets that may leave at once
	paceEvery = time.Millisecond     // and then
	paceStep  = 16                   // so many more in each such time: 180 Mbit/s
	paceWait  = 2 * time.Millisecond // slept when the allowance is used up
	batch     = 64                   // packets per system call
)

// udpSender sends packets from the server's RTP and RTCP ports.
type udpSender struct {
	rtp      *ipv4.PacketConn
	rtcp     *net.UDPConn
	msgs     []ipv4.Message
	heap     arena
	reports  []udpReport
	allowed  float64 // packets
	asOf     time.Time
	unwanted func(packets int) // told of packets that the system refused
}

type udpReport struct {
	to netip.AddrPort
	b  []byte
}

func newUDPSender(rtp, rtcp *net.UDPConn, unwanted func(int)) *udpSender {
	return &udpSender{rtp: ipv4.NewPacketConn(rtp), rtcp: rtcp, allowed: paceBurst, unwanted: unwanted}
}

func (s *udpSender) add(l *lane, wire []byte, ts uint32) {
	same := stamp(wire) == ts
	for len(wire) >= frameHeader+rtpHeader {
		n := min(frameHeader+int(binary.BigEndian.Uint16(wire[2:])), len(wire))
		m := s.next()
		m.Addr = l.rtp
		if same {
			m.Buffers = append(m.Buffers[:0], wire[frameHeader:n])
		} else {
			head := s.heap.take(rtpHeader)
			copy(head, wire[frameHeader:])
			binary.BigEndian.PutUint32(head[4:], ts)
			m.Buffers = append(m.Buffers[:0], head, wire[frameHeader+rtpHeader:n])
		}
		wire = wire[n:]
	}
}

// next returns a message at the end of the queue that may hold slices of old.
func (s *udpSender) next() *ipv4.Message {
	if len(s.msgs) == cap(s.msgs) {
		s.msgs = append(s.msgs, ipv4.Message{})
	} else {
		s.msgs = s.msgs[:len(s.msgs)+1]
	}
	return &s.msgs[len(s.msgs)-1]
}

func (s *udpSender) report(l *lane, packet []byte) {
	b := s.heap.take(len(packet))
	copy(b, packet)
	s.reports = append(s.reports, udpReport{l.rtcp, b})
}

func (s *udpSender) flush(ctx context.Context, now time.Time) (n int64, err error) {
	for _, r := range s.reports {
		// A report that cannot be sent is followed by another.
		k, _ := s.rtcp.WriteToUDPAddrPort(r.b, r.to)
		n += int64(k)
	}
	for rest := s.msgs; len(rest) > 0; {
		k, err := s.pace(ctx, len(rest), now)
		if err != nil {
			return n, err
		}
		sent, err := s.sendBatch(rest[:k])
		n += sent
		if err != nil {
			return n, err
		}
		if rest = rest[k:]; len(rest) > 0 {
			now = time.Now()
		}
	}
	for i := range s.msgs {
		clear(s.msgs[i].Buffers)
	}
	s.msgs, s.heap, s.reports = s.msgs[:0], s.heap[:0], s.reports[:0]
	return n, nil
}

// pace returns how many of want packets may leave now. It waits until that is
// worth a system call.
func (s *udpSender) pace(ctx context.Context, want int, now time.Time) (int, error) {
	for {
		s.allowed += now.Sub(s.asOf).Seconds() * paceStep / paceEvery.Seconds()
		s.allowed, s.asOf = min(s.allowed, paceBurst), now
		if int(s.allowed) >= min(want, paceStep) {
			k := min(want, int(s.allowed), batch)
			s.allowed -= float64(k)
			return k, nil
		}
		wait := time.NewTimer(paceWait)
		select {
		case now = <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return 0, ctx.Err()
		}
	}
}

// sendBatch sends ms and leaves out what the system refuses. Only the end of
// the socket is an error: a viewer that is gone ends with its control connection.
func (s *udpSender) sendBatch(ms []ipv4.Message) (bytes int64, err error) {
	for len(ms) > 0 {
		n, err := s.rtp.WriteBatch(ms, 0)
		for _, m := range ms[:max(n, 0)] {
			bytes += int64(m.N)
		}
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return bytes, err
		case errors.Is(err, unix.EMSGSIZE):
			s.unwanted(1)
			n = max(n, 0) + 1
		default:
			s.unwanted(len(ms))
			return bytes, nil
		}
		ms = ms[n:]
	}
	return bytes, nil
}
