package camera

import (
	"encoding/binary"
	"time"

	"camrelay/media"
	"camrelay/media/depay"
	"camrelay/media/timeline"
)

// Splice joins the connections of a camera to one stream: sequence numbers,
// time stamps and stream time run on from one to the next. The owner of the
// stream keeps it and gives it to each Run.
type Splice struct {
	tl    *timeline.Timeline
	lanes []seam // by track ID
	udp   bool   // the camera has refused TCP
	warn  bool   // it was said that the password goes out in clear
	units unitsState
}

// unitsState is the depacketising that outlives a connection.
type unitsState struct {
	asm      *depay.Assembler
	shape    string    // of the tracks that the last asm was made for
	sets     string    // parameter sets that the camera has described itself with
	fedUntil time.Time // arrival of the newest packets that an asm has seen
	unwanted time.Time // since when nobody reads units; zero while somebody does
}

// NewSplice returns the Splice of a stream that was never fed.
func NewSplice() *Splice { return &Splice{tl: timeline.New()} }

// seam is where one track of a connection ended, as viewers saw it.
type seam struct {
	used bool
	ssrc uint32
	seq  uint16
	ts   uint32
	wall time.Time
}

// Sequence numbers (RFC 3550 §A.1).
const (
	maxDropout = 3000 // a larger step forward is a restart of the counter, not a loss
	maxLate    = 100  // a smaller step back is a packet that came late or twice
)

// believable is by how much time stamps may differ from what the arrival clock
// lets expect across a restart of the camera's counters.
const believable = time.Second

// maxStep is by how much time stamps may go back, or forward beyond the clock of
// arrivals, from one packet to the next. Pictures out of order take less.
const maxStep = 5 * time.Second

// numbers follows the headers of one track in one connection and gives them
// the values that viewers see.
type numbers struct {
	begun  bool
	ssrc   uint32 // as the camera sends it
	out    uint32 // as viewers see it
	seq    uint16 // newest, as the camera sends it
	cycles uint16 // how often seq has wrapped
	ts     uint32 // highest, as the camera sends it
	wall   time.Time
	shiftQ uint16 // added to the sequence number
	shiftT uint32 // added to the time stamp
}

// seam returns where the track ends now.
func (h *numbers) seam() seam {
	return seam{used: true, ssrc: h.out, seq: h.seq + h.shiftQ, ts: h.ts + h.shiftT, wall: h.wall}
}

// follow takes note of the RTP header of a packet and rewrites it for viewers.
// lost is the number of packets missing before it; gap tells that it does not
// continue what was, by a loss or a new time line.
func (h *numbers) follow(before *seam, rate int, rtp []byte, now time.Time) (lost int, gap bool) {
	seq, ts := binary.BigEndian.Uint16(rtp[2:]), binary.BigEndian.Uint32(rtp[4:])
	ssrc := binary.BigEndian.Uint32(rtp[8:])
	step := int16(seq - h.seq)
	switch {
	case !h.begun && !before.used:
		h.out, h.ts = ssrc, ts
	case !h.begun:
		h.join(*before, rate, seq, ts, now)
		h.ts, gap = ts, true
	case ssrc != h.ssrc && step != 1, step > maxDropout, step <= -maxLate:
		gap = h.restart(rate, seq, ts, now)
	case step <= 0: // late or twice: passed on as it is
		h.write(rtp, seq, ts)
		return 0, false
	default:
		h.restamp(rate, ts, now)
		lost, gap = int(step-1), step > 1
	}
	if h.begun && seq < h.seq {
		h.cycles++
	}
	h.begun, h.ssrc, h.seq, h.wall = true, ssrc, seq, now
	if int32(ts-h.ts) > 0 || gap {
		h.ts = ts
	}
	h.write(rtp, seq, ts)
	return lost, gap
}

// restart goes on after the camera has begun to count anew, as some do with
// each group of pictures. Time stamps that run on are left alone.
func (h *numbers) restart(rate int, seq uint16, ts uint32, now time.Time) (gap bool) {
	was := h.seam()
	off := media.ToDuration(int64(int32(ts-h.ts)), rate) - now.Sub(h.wall)
	if off < believable && off > -believable {
		h.shiftQ = was.seq + 1 - seq
		return false
	}
	h.join(was, rate, seq, ts, now)
	return true
}

// restamp lets the stamps run on where the camera's jump and its sequence numbers
// do not: players take the stamps of one track for it alone.
func (h *numbers) restamp(rate int, ts uint32, now time.Time) {
	step, elapsed := media.ToDuration(int64(int32(ts-h.ts)), rate), now.Sub(h.wall)
	if step >= -maxStep && step-elapsed <= maxStep {
		return
	}
	h.shiftT += h.ts + uint32(media.ToTicks(max(elapsed, time.Millisecond), rate)) - ts
	h.ts = ts
}

// join makes the packet the successor of what ended at s: the next sequence
// number, and a time stamp that has gone on with the clock on the wall.
func (h *numbers) join(s seam, rate int, seq uint16, ts uint32, now time.Time) {
	h.out = s.ssrc
	h.shiftQ = s.seq + 1 - seq
	elapsed := media.ToTicks(max(now.Sub(s.wall), time.Millisecond), rate)
	h.shiftT = s.ts + uint32(elapsed) - ts
}

// write puts what viewers see into the packet's header.
func (h *numbers) write(rtp []byte, seq uint16, ts uint32) {
	if h.shiftQ != 0 || h.shiftT != 0 {
		binary.BigEndian.PutUint16(rtp[2:], seq+h.shiftQ)
		binary.BigEndian.PutUint32(rtp[4:], ts+h.shiftT)
	}
	if h.ssrc != h.out {
		binary.BigEndian.PutUint32(rtp[8:], h.out)
	}
}
