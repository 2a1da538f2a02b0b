package camera

import (
	"encoding/binary"
	"log/slog"
	"slices"
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
	began  time.Time
	last   atomic.Int64 // arrival of the newest RTP packet since began; 0: none

	mu      sync.Mutex // guards what follows
	tracks  []*media.Track
	lanes   []*lane // by track ID
	open    *lane   // the one whose run may grow
	batch   []media.Packets
	since   time.Time // arrival of the oldest packet that is not published
	packets int       // since the last publication
	bytes   int
	lost    int
	heard   []hub.Heard
	units   []*media.Unit
	told    bool // that a parameter set is broken

	reported bool          // a sender report has come
	offset   time.Duration // then: the box's clock minus the camera's
}

// starts says where a viewer may start in a track.
type starts uint8

const (
	startsNowhere  starts = iota
	startsAtKeys          // where a NAL unit tells
	startsAtStamps        // at each picture: all are key pictures, or nothing is known of them
	startsAnywhere        // there is no video
)

// lane is the state of one track in this connection.
type lane struct {
	numbers
	track   *media.Track
	channel byte
	starts  starts
	spare   [128]bool // payload types of other formats that the SDP names

	run   media.Packets // the one that may grow; N is 0 if there is none
	stamp uint32        // of run or what was before it
	gap   bool          // the next run is a Gap
	vcl   bool          // picture data stamped stamp has come
	shown bool          // a picture has been counted
	frame uint32        // time stamp of the picture counted last

	heard    time.Time // arrival of the newest sender report, zero if none
	heardNTP uint32    // the middle of its NTP stamp

	// Parameter sets are not published before it is known what they belong to.
	pending bool
	held    []media.Packets // runs before run that wait for that
	params  [][]byte
}

// maxHeld bounds what waits for a picture, in runs and parameter sets.
const maxHeld = 32

func newIngest(splice *Splice, s *hub.Stream, offers []offer, active func(), log *slog.Logger) *ingest {
	in := &ingest{splice: splice, stream: s, active: active, log: log, began: time.Now()}
	for len(splice.lanes) < len(offers) {
		splice.lanes = append(splice.lanes, seam{})
	}
	video := false
	for _, o := range offers {
		video = video || o.track.Kind == media.KindVideo
	}
	for i, o := range offers {
		l := &lane{track: o.track, channel: byte(2 * i), spare: o.others}
		switch {
		case !video:
			l.starts = startsAnywhere
		case o.track.Codec == media.CodecH264 || o.track.Codec == media.CodecH265:
			l.starts = startsAtKeys
		case o.track.Kind == media.KindVideo:
			l.starts = startsAtStamps
		}
		in.tracks = append(in.tracks, o.track)
		in.lanes = append(in.lanes, l)
	}
	if sets := setsOf(in.tracks); sets != splice.units.sets {
		// The camera describes itself otherwise than last time.
		splice.units.sets, splice.units.asm = sets, nil
	}
	return in
}

// packet takes one interleaved frame that holds an RTP packet, and is its
// owner from then on; its capacity is all that it may grow into. The caller
// holds mu.
func (in *ingest) packet(l *lane, wire []byte, now time.Time) {
	rtp := wire[media.InterleavedHeader:]
	if in.packets == 0 {
		in.since = now
	}
	in.packets++
	in.bytes += len(rtp)
	if l.spare[rtp[1]&0x7f] {
		return
	}
	first := !l.begun
	lost, gap := l.follow(&in.splice.lanes[l.track.ID], l.track.ClockRate, rtp, now)
	in.lost += lost
	l.gap = l.gap || gap
	wire[1] = l.channel

	ts := binary.BigEndian.Uint32(rtp[4:])
	fresh := first || ts != l.stamp
	if fresh {
		l.stamp, l.vcl = ts, false
	}
	var info depay.Info
	if l.starts == startsAtKeys {
		info = depay.Peek(l.track.Codec, rtp)
	}
	// What a viewer may start with has a run of its own.
	splits := l.vcl && (info.Params && !l.pending || info.Start && info.Key)
	if in.open != l || l.gap || splits || l.run.N == 0 || ts != l.run.Timestamp() || !adjoins(l.run.Wire, wire) {
		in.finish(in.open)
		l.run = media.Packets{Track: l.track, Wire: wire, N: 1, Wall: now, Gap: l.gap, Key: l.starts == startsAnywhere}
		l.gap, l.vcl, in.open = false, l.vcl && !splits, l
	} else {
		l.run.Wire = l.run.Wire[:len(l.run.Wire)+len(wire)]
		l.run.N++
	}
	switch l.starts {
	case startsAtKeys:
		in.picture(l, info, rtp, now)
	case startsAtStamps:
		if fresh {
			l.shown, l.run.Key = true, true
			in.stream.Meter.Frame(now, true)
		}
	case startsNowhere, startsAnywhere:
	}
}

// adjoins tells whether b lies in memory right behind a, within a's capacity.
func adjoins(a, b []byte) bool {
	return len(a) > 0 && cap(a)-len(a) >= len(b) && &a[:len(a)+1][len(a)] == &b[0]
}

// picture follows pictures and parameter sets, which belong to the next
// picture, whatever their own time stamp says.
func (in *ingest) picture(l *lane, info depay.Info, rtp []byte, now time.Time) {
	if info.Params {
		l.pending = true
		if len(l.params) < maxHeld {
			l.params = depay.Params(l.track.Codec, rtp, l.params)
		}
	}
	if !info.Start && !info.Key {
		return
	}
	key := info.Start && info.Key
	switch {
	case l.pending:
		in.settle(l, key)
	case key && !l.vcl:
		l.run.Key = true
	}
	l.vcl = true
	if info.Start && (!l.shown || l.frame != l.stamp) {
		l.shown, l.frame = true, l.stamp
		in.stream.Meter.Frame(now, info.Key)
	}
}

// settle publishes what has waited: a viewer may start there if key is set.
func (in *ingest) settle(l *lane, key bool) {
	in.describe(l)
	l.run.Track = l.track
	for i := range l.held {
		l.held[i].Track = l.track
	}
	if len(l.held) > 0 {
		l.held[0].Key = key
	} else {
		l.run.Key = key
	}
	in.batch = append(in.batch, l.held...)
	clear(l.held)
	l.held, l.pending = l.held[:0], false
}

// describe takes in-band parameter sets over into the track.
func (in *ingest) describe(l *lane) {
	t, changed, err := codec.UpdateParams(l.track, l.params)
	clear(l.params)
	l.params = l.params[:0]
	if err != nil && !in.told {
		in.told = true
		in.log.Warn("camera sends parameter sets that cannot be used", "err", err)
	}
	if changed {
		in.adopt(l, t)
		in.stream.SetTracks(in.tracks)
	}
}

// adopt makes t the lane's track, in a list that is not published yet.
func (in *ingest) adopt(l *lane, t *media.Track) {
	l.track = t
	in.tracks = append([]*media.Track(nil), in.tracks...)
	in.tracks[t.ID] = t
}

// finish ends the run of a lane, if there is one.
func (in *ingest) finish(l *lane) {
	if l == nil || l.run.N == 0 {
		return
	}
	l.run.Wire = slices.Clip(l.run.Wire)
	switch {
	case !l.pending:
		in.batch = append(in.batch, l.run)
	case len(l.held) == maxHeld:
		in.batch = append(append(in.batch, l.held...), l.run)
		clear(l.held)
		l.held, l.pending = l.held[:0], false
	default:
		l.held = append(l.held, l.run)
	}
	l.run = media.Packets{}
	if in.open == l {
		in.open = nil
	}
}

// publish appends what has come to the logs. The caller holds mu.
func (in *ingest) publish(now time.Time) {
	if in.packets == 0 {
		return
	}
	in.finish(in.open)
	in.last.Store(max(1, int64(now.Sub(in.began))))
	in.heard = in.heard[:0]
	for i, l := range in.lanes {
		if l.begun && !l.wall.Before(in.since) {
			in.heard = append(in.heard, hub.Heard{Track: i, At: l.wall, Stamp: l.ts})
		}
	}
	in.stream.Meter.Arrived(now, in.packets, in.bytes, in.lost, in.heard...)
	in.packets, in.bytes, in.lost = 0, 0, 0
	in.stream.Packets.Append(in.batch...)
	in.assemble(in.batch, now)
	clear(in.batch)
	in.batch = in.batch[:0]
	in.active()
}

// stop publishes the rest, and remembers where the tracks ended for the next
// connection.
func (in *ingest) stop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.finish(in.open)
	for i, l := range in.lanes {
		in.batch = append(in.batch, l.held...)
		if l.begun {
			in.splice.lanes[i] = l.seam()
		}
	}
	in.stream.Packets.Append(in.batch...)
}
