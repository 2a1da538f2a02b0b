package camera

import (
	"encoding/binary"
	"time"

	"camrelay/media"
)

// maxLoss is the largest jump of sequence numbers that is believed to be loss;
// a larger one is a camera that has begun to count anew.
const maxLoss = 3000

// seam returns where the track ends now, as viewers see it.
func (l *lane) seam() seam {
	return seam{used: true, ssrc: l.out, seq: l.seq + l.shiftQ, ts: l.ts + l.shiftT, wall: l.wall}
}

// follow takes note of a packet's header and returns how many packets are
// missing before it.
func (l *lane) follow(before *seam, seq uint16, ts, ssrc uint32, now time.Time) (lost int) {
	switch {
	case !l.begun && !before.used:
		l.out = ssrc
	case !l.begun:
		l.join(*before, seq, ts, now)
	case ssrc != l.ssrc && seq != l.seq+1:
		l.join(l.seam(), seq, ts, now) // cameras restart, some with each group of pictures
		l.gap = true
	default:
		switch d := int(int16(seq - l.seq - 1)); {
		case d > 0 && d < maxLoss:
			lost = d
			l.gap = true
		case d != 0:
			l.join(l.seam(), seq, ts, now)
			l.gap = true
		}
	}
	l.begun, l.ssrc, l.seq, l.ts, l.wall = true, ssrc, seq, ts, now
	return lost
}

// join makes the packet the successor of what ended at s: the next sequence
// number, and, unless the stamps agree with the clock on the wall within a
// second, a time stamp that has gone on with that clock.
func (l *lane) join(s seam, seq uint16, ts uint32, now time.Time) {
	l.out = s.ssrc
	l.shiftQ = s.seq + 1 - seq
	elapsed := media.ToTicks(max(now.Sub(s.wall), time.Millisecond), l.track.ClockRate)
	shift := s.ts + uint32(elapsed) - ts
	if off := int64(int32(shift - l.shiftT)); !l.begun || max(off, -off) > int64(l.track.ClockRate) {
		l.shiftT = shift // else the camera's stamps run on by themselves
	}
}

// patch writes the packet's header as viewers see it.
func (l *lane) patch(rtp []byte, seq uint16, ts uint32) {
	if l.shiftQ != 0 || l.shiftT != 0 {
		binary.BigEndian.PutUint16(rtp[2:], seq+l.shiftQ)
		binary.BigEndian.PutUint32(rtp[4:], ts+l.shiftT)
	}
	if l.ssrc != l.out {
		binary.BigEndian.PutUint32(rtp[8:], l.out)
	}
}
