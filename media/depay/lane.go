package depay

import (
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// describe takes over what the parameter sets of the track say.
func (l *lane) describe() {
	if l.track.Kind != media.KindVideo || len(l.track.SPS) == 0 {
		return
	}
	s, err := codec.ParseSPS(l.track.Codec, l.track.SPS)
	if err != nil {
		return
	}
	l.dts.SetDepth(s.Depth)
	l.ref = reference{bits: s.FrameNumBits}
	if v, ok := l.dec.assembly.(*video); ok {
		v.fields = s.Fields
	}
}

// interrupted notes that what comes does not continue what was.
func (l *lane) interrupted() {
	l.suspect = true
	l.ref.known = false
}

// step returns the usual distance of pictures.
func (l *lane) step() time.Duration {
	if l.track.FrameRate > 0 {
		return time.Duration(float64(time.Second) / l.track.FrameRate)
	}
	return 40 * time.Millisecond
}

// hole returns how far apart units may be after a loss that is not told.
func (l *lane) hole() time.Duration {
	if l.track.Kind == media.KindVideo {
		return 2*l.step() + l.step()/2
	}
	return 500 * time.Millisecond
}

// follow decides whether an access unit can be decoded after what was given out.
func (l *lane) follow(au *AU) {
	lost := au.Lost || l.suspect
	l.suspect = false
	if l.track.Kind != media.KindVideo {
		l.gap = l.gap || lost
		return
	}
	intact := l.ref.next(l.track.Codec, au)
	switch {
	case au.Key:
		l.gap = l.gap || l.waiting || lost
		l.waiting = false
	case lost && !intact:
		l.waiting = true
	}
}

// reference follows frame_num of H.264 (§7.4.3): it rises by one after each
// picture that others may refer to, and shows by that whether one is missing.
type reference struct {
	bits  int
	known bool
	num   uint32
	ref   bool
	ts    uint32
}

// next takes the next picture and tells whether it follows the one before
// with nothing that it may refer to in between. It does not know for H.265.
func (r *reference) next(c media.Codec, au *AU) (follows bool) {
	if c != media.CodecH264 || r.bits == 0 {
		return false
	}
	for _, nal := range au.Data {
		if !codec.IsVCL(c, nal) {
			continue
		}
		num, ref, ok := codec.FrameNum(nal, r.bits)
		if !ok {
			break
		}
		want := r.num
		if r.ref {
			want = (want + 1) & (1<<r.bits - 1)
		}
		// A hole long enough for the number to wrap proves nothing: at 60
		// pictures per second it takes that many ticks of 90 kHz.
		follows = r.known && num == want && au.RTP-r.ts < 1500<<r.bits
		r.num, r.ref, r.ts, r.known = num, ref, au.RTP, true
		return follows
	}
	r.known = false
	return false
}
