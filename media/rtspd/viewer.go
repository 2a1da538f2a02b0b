package rtspd

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/hub"
)

// lane is one track of one viewer.
type lane struct {
	up        bool         // set up by the viewer
	track     *media.Track // as last seen
	channel   byte         // of RTP over TCP; RTCP has the next
	rtp       *net.UDPAddr // over UDP
	rtcp      netip.AddrPort
	clock     clock
	began     bool
	reported  time.Time
	packets   uint32
	octets    uint32
	rtcpBytes []byte // scratch

	promised   time.Time // of the last report, zero before the first
	promisedTS uint32
}

// fits tells whether a viewer that was told of l.track can go on with t.
func (l *lane) fits(t *media.Track) bool {
	return t.Codec == l.track.Codec && t.PayloadType == l.track.PayloadType && t.ClockRate == l.track.ClockRate
}

// viewer sends a stream's packets to one player. Everything in it belongs to
// the goroutine of run.
type viewer struct {
	stream *hub.Stream
	taken  func(bytes int64, packets int, lost uint64) // told of each flush
	name   string                                      // of the cursor
	lanes  []lane                                      // of the tracks that were described
	out    sender
	mode   startMode
	paced  bool      // over UDP
	epoch  time.Time // arrival of the first packet seen: zero of the clocks
	in     [32]media.Packets

	pictured time.Time // arrival of the last video
	packets  int       // queued since the last flush
	lost     uint64    // entries missed since the last flush
}

// run plays until ctx is done, the stream ends or the player fails. It returns why.
func (v *viewer) run(ctx context.Context) error {
	at := hub.LastStart
	switch v.mode {
	case startLive:
		at = hub.Live
	case startFast:
		at = hub.Settled
	}
	r := v.stream.Packets.Reader(v.name, at)
	defer r.Close()
	if v.mode != startLive {
		if err := v.catchUp(ctx, r); err != nil {
			return err
		}
	}
	held := 0
	for {
		n, lost, err := r.Read(ctx, v.in[held:])
		v.lost += lost
		if err != nil {
			return v.reason(ctx, err)
		}
		now := time.Now()
		if held += n; v.mayWait(v.in[:held], now) {
			continue
		}
		err = v.send(ctx, v.in[:held], now)
		clear(v.in[:held])
		held = 0
		if err != nil {
			return err
		}
	}
}

// audioWait is how long audio waits for the next picture.
const audioWait = 40 * time.Millisecond

// mayWait tells whether what has been read is only audio that may go out with
// the next picture: most cameras send two frames of audio to each of video, and
// writing them apart would be most of what a viewer costs. No timer is needed,
// since there is another look at each entry.
func (v *viewer) mayWait(es []media.Packets, now time.Time) bool {
	if len(es) == len(v.in) || now.Sub(es[0].Wall) > audioWait || now.Sub(v.pictured) > 2*audioWait {
		return false
	}
	for i := range es {
		if es[i].Track.Kind != media.KindAudio {
			return false
		}
	}
	return true
}

func (v *viewer) send(ctx context.Context, es []media.Packets, now time.Time) error {
	for i := range es {
		if err := v.queue(&es[i], es[i].Timestamp(), now); err != nil {
			return err
		}
	}
	return v.flush(ctx, now)
}

func (v *viewer) reason(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		return hub.ErrEnded
	}
	return err
}

// queue hands the packets of e, stamped ts, to the sender.
func (v *viewer) queue(e *media.Packets, ts uint32, now time.Time) error {
	l := v.lane(e)
	switch {
	case l == nil && v.unwanted(e):
		return nil
	case l == nil:
		return errChanged
	}
	if e.Track != l.track {
		if !l.fits(e.Track) {
			return errChanged
		}
		l.track = e.Track
	}
	if !l.up {
		return nil
	}
	if e.Track.Kind == media.KindVideo {
		v.pictured = e.Wall
	}
	if ts == e.Timestamp() { // squeezed ones have been observed before
		v.observe(l, e)
	}
	if e.Gap || now.Sub(l.reported) >= reportEvery {
		v.report(l, e.SSRC(), ts, now)
	}
	if !l.began {
		l.began = true
		v.introduce(l, e, ts)
	}
	v.out.add(l, e.Wire, ts)
	l.packets += uint32(e.N)
	v.packets += e.N
	l.octets += uint32(len(e.Wire) - e.N*(frameHeader+rtpHeader))
	return nil
}

// lane returns where the packets of e go, nil if their track was not described.
func (v *viewer) lane(e *media.Packets) *lane {
	for i := range v.lanes {
		if v.lanes[i].track.ID == e.Track.ID {
			return &v.lanes[i]
		}
	}
	return nil
}

// unwanted tells whether e is sound that the stream, which is a view then, leaves
// out: the packets of a view are all that its camera sends.
func (v *viewer) unwanted(e *media.Packets) bool {
	return e.Track.Kind == media.KindAudio && v.stream.About() != nil
}

func (v *viewer) observe(l *lane, e *media.Packets) {
	if v.epoch.IsZero() {
		v.epoch = e.Wall
	}
	l.clock.observe(e.Timestamp(), e.Wall.Sub(v.epoch), e.Gap)
}

func (v *viewer) report(l *lane, ssrc, ts uint32, now time.Time) {
	ntp := l.slew(ts, v.captured(l, ts))
	l.clock.turn()
	l.reported = now
	l.rtcpBytes = appendReport(l.rtcpBytes[:0], ssrc, ntp, ts, l.packets, l.octets)
	v.out.report(l, l.rtcpBytes)
}

// captured returns when what is stamped ts was captured: as the camera reports
// it, if it does so for all tracks, else by the clock of arrivals.
func (v *viewer) captured(l *lane, ts uint32) time.Time {
	for i := range v.lanes {
		if v.lanes[i].up && !v.reported(&v.lanes[i]) {
			return v.epoch.Add(l.clock.at(ts))
		}
	}
	c, _ := v.stream.Clock(l.track.ID)
	return c.Wall.Add(media.ToDuration(int64(int32(ts-c.RTP)), l.clock.rate))
}

// reported tells whether the camera has said when the packets of a track were
// captured, and that can be true.
func (v *viewer) reported(l *lane) bool {
	c, ok := v.stream.Clock(l.track.ID)
	if !ok || !l.clock.seen {
		return ok
	}
	last := l.clock.last
	told := c.Wall.Add(media.ToDuration(int64(int32(last-c.RTP)), l.clock.rate))
	late := v.epoch.Add(l.clock.at(last)).Sub(told)
	return late.Abs() <= believable
}

// Bounds of what a sender report may correct.
const (
	maxSlew = 4 * time.Millisecond   // players show a correction as a jump
	maxSkew = 500 * time.Millisecond // beyond this a jump is the lesser evil
	// believable is how long before its arrival a packet may have been captured:
	// encoders take their time, and half a second is not rare.
	believable = 2 * time.Second
)

// slew returns the time to report for ts: what the report before promised,
// corrected a little towards ntp.
func (l *lane) slew(ts uint32, ntp time.Time) time.Time {
	if !l.promised.IsZero() {
		promise := l.promised.Add(media.ToDuration(int64(int32(ts-l.promisedTS)), l.clock.rate))
		if d := ntp.Sub(promise); d < maxSkew && d > -maxSkew {
			ntp = promise.Add(min(max(d, -maxSlew), maxSlew))
		}
	}
	l.promised, l.promisedTS = ntp, ts
	return ntp
}

// introduce queues the parameter sets that decoding of e needs, unless they are
// in it. Cameras that give them only in the SDP (Q2) leave players without that
// never look there. The packets take the sequence numbers before e's.
func (v *viewer) introduce(l *lane, e *media.Packets, ts uint32) {
	if !e.Key {
		return
	}
	t := e.Track
	for p := range e.RTP() {
		if depay.Peek(t.Codec, p).Params {
			return
		}
	}
	var sets [][]byte
	for _, set := range [][]byte{t.VPS, t.SPS, t.PPS} {
		if len(set) > 0 {
			sets = append(sets, set)
		}
	}
	var wire, packet []byte
	for i, set := range sets {
		seq := e.Sequence() - uint16(len(sets)-i)
		packet = append(packet[:0], 0x80, e.Wire[frameHeader+1]&0x7f)
		packet = binary.BigEndian.AppendUint16(packet, seq)
		packet = binary.BigEndian.AppendUint32(packet, ts)
		packet = binary.BigEndian.AppendUint32(packet, e.SSRC())
		packet = append(packet, set...)
		wire = media.AppendWire(wire, 2*t.ID, packet)
	}
	if len(sets) > 0 {
		v.out.add(l, wire, ts)
		l.packets += uint32(len(sets))
		l.octets += uint32(len(wire) - len(sets)*(frameHeader+rtpHeader))
	}
}

func (v *viewer) flush(ctx context.Context, now time.Time) error {
	n, err := v.out.flush(ctx, now)
	v.taken(n, v.packets, v.lost)
	v.packets, v.lost = 0, 0
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlow
	}
	return errClosed
}
