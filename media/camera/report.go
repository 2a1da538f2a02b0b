package camera

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"camrelay/media"
	"camrelay/media/hub"
)

// reports takes what a camera says in RTCP packets (RFC 3550 §6.4.1): of
// interest is which stamp belongs to which time of its clock. The caller holds
// mu.
func (in *ingest) reports(l *lane, b []byte, now time.Time) {
	const senderReport, least = 200, 20
	for len(b) >= 8 {
		n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return
		}
		if b[1] == senderReport && n >= least {
			in.senderReport(l, ntpTime(binary.BigEndian.Uint64(b[8:])), binary.BigEndian.Uint32(b[16:]), now)
			l.heard, l.heardNTP = now, uint32(binary.BigEndian.Uint64(b[8:])>>16)
		}
		b = b[n:]
	}
}

// maxDrift is how far a camera's clock may move against the box's before it is
// taken to have been set anew.
const maxDrift = 500 * time.Millisecond

// senderReport takes a sender report, stamped as the camera stamps. The caller
// holds mu.
func (in *ingest) senderReport(l *lane, ntp time.Time, rtp uint32, now time.Time) {
	if !l.begun {
		return
	}
	// One offset for all tracks keeps audio and video together, whatever the
	// camera believes the time to be.
	if d := now.Sub(ntp) - in.offset; !in.reported || d > maxDrift || d < -maxDrift {
		in.offset, in.reported = now.Sub(ntp), true
	}
	in.stream.SetClock(l.track.ID, hub.Clock{RTP: rtp + l.shiftT, Wall: ntp.Add(in.offset)})
	if asm := in.splice.units.asm; asm != nil {
		asm.SenderReport(l.track.ID, ntp, rtp+l.shiftT, now)
	}
}

// ntpTime converts a 64-bit NTP time stamp (RFC 5905 §6).
func ntpTime(n uint64) time.Time {
	const toUnix = 2208988800
	return time.Unix(int64(n>>32)-toUnix, int64((n&0xffffffff)*1e9>>32))
}

// appendReceiverReports appends a receiver report for each track as an
// interleaved frame on the channel that channels names for it.
func (in *ingest) appendReceiverReports(b []byte, ch *channels, now time.Time) []byte {
	in.mu.Lock()
	defer in.mu.Unlock()
	for c := range ch {
		if ch[c].kind != chunkRTCP {
			continue
		}
		l := in.lanes[ch[c].track]
		if !l.begun {
			continue
		}
		rr := rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{
			SSRC: l.ssrc, LastSequenceNumber: uint32(l.cycles)<<16 | uint32(l.seq),
		}}}
		if !l.heard.IsZero() {
			rr.Reports[0].LastSenderReport = l.heardNTP
			rr.Reports[0].Delay = uint32(now.Sub(l.heard) * 65536 / time.Second)
		}
		if raw, err := rr.Marshal(); err == nil {
			b = media.AppendWire(b, c, raw)
		}
	}
	return b
}

// silent returns how long no picture has come, or, from a camera without
// video, no RTP packet at all: sound alone does not make a camera alive.
func (in *ingest) silent(now time.Time) time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	last, video := in.began, false
	for _, l := range in.lanes {
		if l.track.Kind == media.KindVideo {
			video = true
			if l.begun && l.wall.After(last) {
				last = l.wall
			}
		}
	}
	if video {
		return now.Sub(last)
	}
	return now.Sub(in.began) - time.Duration(in.last.Load())
}
