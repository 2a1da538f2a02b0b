package camera

import (
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/depay"
	"camrelay/media/hub"
)

// ingest turns packets into entries of the stream's logs. TCP calls it from
// the one goroutine that reads the socket, UDP from one per socket.
type ingest struct {
	splice *Splice
	stream *hub.Stream
	active func()
	log    *slog.Logger
	last   atomic.Int64 // arrival of the newest RTP packet, ns of the monotonic clock since began
	began  time.Time

	mu       sync.Mutex // guards what follows
	tracks   []*media.Track
	lanes    []*lane
	batch    []media.Packets // runs not published yet
	holding  int             // the newest runs of batch that wait for their key frame's first packet
	packets  int             // since the last publication
	bytes    int
	lost     int
	units    []*media.Unit
	reported bool
	offset   time.Duration // the box's clock minus the camera's, if reported
}

// lane is the state of one track in this connection.
type lane struct {
	track   *media.Track
	id      byte
	begun   bool
	ssrc    uint32 // as the camera sends it
	out     uint32 // as viewers see it
	seq     uint16 // newest, as the camera sends it
	ts      uint32 // newest, as the camera sends it
	wall    time.Time
	shiftQ  uint16 // added to the sequence number
	shiftT  uint32 // added to the time stamp
	gap     bool   // the next run is a Gap
	picture uint32 // time stamp of the newest picture
	seen    bool   // a picture has begun
	params  [][]byte
	pending int // index + 1 in batch of the run where parameter sets of the next picture began
}

// newIngest continues what splice remembers.
func newIngest(splice *Splice, s *hub.Stream, tracks []*media.Track, active func(), log *slog.Logger) *ingest {
	in := &ingest{splice: splice, stream: s, active: active, log: log, began: time.Now(), tracks: tracks}
	for len(splice.lanes) < len(tracks) {
		splice.lanes = append(splice.lanes, seam{})
	}
	for i, t := range tracks {
		in.lanes = append(in.lanes, &lane{track: t, id: byte(2 * i), gap: splice.lanes[i].used})
	}
	return in
}

// hasVideo tells whether a picture decides where a viewer may begin.
func (in *ingest) hasVideo() bool {
	for _, t := range in.tracks {
		if t.Kind == media.KindVideo {
			return true
		}
	}
	return false
}

// packet takes one interleaved frame that holds an RTP packet of track id, and
// is its owner from then on. The caller holds mu.
func (in *ingest) packet(id int, wire []byte, now time.Time) {
	l := in.lanes[id]
	rtp := wire[media.InterleavedHeader:]
	in.packets++
	in.bytes += len(rtp)
	seq, ts := binary.BigEndian.Uint16(rtp[2:]), binary.BigEndian.Uint32(rtp[4:])
	ssrc := binary.BigEndian.Uint32(rtp[8:])
	sameStamp := l.begun && ts == l.ts && ssrc == l.ssrc
	in.lost += l.follow(&in.splice.lanes[id], seq, ts, ssrc, now)
	wire[1] = l.id
	l.patch(rtp, seq, ts)
	info := depay.Peek(l.track.Codec, rtp)
	begins := in.look(l, info, rtp, ts, now)
	if run := in.newest(); sameStamp && !begins && !l.gap && run != nil && run.Track.ID == id && adjoins(run.Wire, wire) {
		run.Wire = run.Wire[:len(run.Wire)+len(wire)]
		run.N++
		return
	}
	in.batch = append(in.batch, media.Packets{Track: l.track, Wire: wire, N: 1, Wall: now, Gap: l.gap})
	l.gap = false
	in.mark(l, info, begins)
}

// newest returns the newest run that is not published, nil if there is none.
func (in *ingest) newest() *media.Packets {
	if len(in.batch) == 0 {
		return nil
	}
	return &in.batch[len(in.batch)-1]
}

// adjoins tells whether b lies in memory right behind a, within a's capacity.
func adjoins(a, b []byte) bool {
	return cap(a)-len(a) >= len(b) && &a[:len(a)+1][len(a)] == &b[0]
}

// look follows pictures and parameter sets. It tells whether the packet begins
// something that a viewer may have to start with, and so needs its own run.
func (in *ingest) look(l *lane, info depay.Info, rtp []byte, ts uint32, now time.Time) (begins bool) {
	if info.Params {
		l.params = depay.Params(l.track.Codec, rtp, l.params)
		return l.pending == 0
	}
	if !info.Start || l.seen && ts == l.picture {
		return false
	}
	l.seen, l.picture = true, ts
	in.stream.Meter.Frame(now, info.Key)
	if len(l.params) > 0 {
		in.follow(l)
	}
	if l.pending == 0 {
		return info.Key
	}
	if info.Key {
		run := &in.batch[l.pending-1]
		run.Key, run.Track = true, l.track
	}
	l.pending = 0
	return false
}

// mark decides whether a viewer may start with the newest run. Where parameter
// sets begin is marked once their key picture has come; they wait for it, so
// that the mark is there before the run is published.
func (in *ingest) mark(l *lane, info depay.Info, begins bool) {
	run := &in.batch[len(in.batch)-1]
	switch {
	case info.Params && begins:
		l.pending = len(in.batch)
	case info.Key && begins:
		run.Key = true
	case l.track.Kind != media.KindVideo:
		run.Key = !in.hasVideo()
	default:
		// Any picture will do, or nothing is known about pictures.
		run.Key = run.Key || l.track.Codec == media.CodecMJPEG || l.track.Codec == media.CodecUnknown
	}
}

// follow takes in-band parameter sets over into the track.
func (in *ingest) follow(l *lane) {
	t, changed, err := codec.UpdateParams(l.track, l.params)
	if err != nil {
		in.log.Warn("parameter set ignored", "err", err)
	}
	l.params = l.params[:0]
	if !changed {
		return
	}
	l.track = t
	in.tracks = append([]*media.Track(nil), in.tracks...)
	in.tracks[t.ID] = t
	in.stream.SetTracks(in.tracks)
}

// publish appends what has come to the logs. Parameter sets whose picture has
// not come yet wait, once. The caller holds mu.
func (in *ingest) publish(now time.Time) {
	if in.packets == 0 {
		return
	}
	in.stream.Meter.Arrived(now, in.packets, in.bytes, in.lost)
	in.packets, in.bytes, in.lost = 0, 0, 0
	in.last.Store(int64(now.Sub(in.began)))
	n := len(in.batch)
	for _, l := range in.lanes {
		if l.pending > 0 && in.holding == 0 {
			n = min(n, l.pending-1)
		}
	}
	in.holding = len(in.batch) - n
	in.stream.Packets.Append(in.batch[:n]...)
	in.assemble(in.batch[:n], now)
	left := copy(in.batch, in.batch[n:])
	clear(in.batch[left:])
	in.batch = in.batch[:left]
	for _, l := range in.lanes {
		l.pending = max(0, l.pending-n)
	}
	in.active()
}

// maxDrift is how far a camera's clock may move against the box's before it is
// taken to have been set anew.
const maxDrift = 500 * time.Millisecond

// senderReport takes an RTCP sender report, stamped as the camera stamps.
func (in *ingest) senderReport(id int, ntp time.Time, rtp uint32, now time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := in.lanes[id]
	if !l.begun {
		return
	}
	// One offset for all tracks keeps audio and video together, whatever the
	// camera believes the time to be.
	if d := now.Sub(ntp) - in.offset; !in.reported || d > maxDrift || d < -maxDrift {
		in.offset, in.reported = now.Sub(ntp), true
	}
	in.stream.SetClock(id, hub.Clock{RTP: rtp + l.shiftT, Wall: ntp.Add(in.offset)})
	if asm := in.splice.units.asm; asm != nil {
		asm.SenderReport(id, ntp, rtp+l.shiftT, now)
	}
}

// silent returns how long no RTP packet has come.
func (in *ingest) silent(now time.Time) time.Duration {
	return now.Sub(in.began) - time.Duration(in.last.Load())
}

// stop remembers where the tracks ended, for the next connection.
func (in *ingest) stop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, l := range in.lanes {
		if l.begun {
			in.splice.lanes[i] = l.seam()
		}
	}
}
