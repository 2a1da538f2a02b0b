package depay

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"camrelay/media/codec"
)

// take puts what was waiting in front of the picture that begins.
func (v *video) take() {
	if len(v.lead.nals) == 0 {
		return
	}
	if v.lead.wall.Before(v.wall) {
		v.wall = v.lead.wall
	}
	for _, n := range v.lead.nals {
		v.add(n)
	}
	v.lead.clear()
}

// insert puts what came between two slices of one picture in front of them:
// parameter sets repeated there do not end the picture.
func (v *video) insert() {
	at := slices.IndexFunc(v.nals, func(n []byte) bool { return codec.IsVCL(v.codec, n) })
	if at < 0 { // its first slice is not whole yet
		at = len(v.nals)
	}
	for _, n := range v.lead.nals {
		if slices.ContainsFunc(v.nals[:at], func(o []byte) bool { return bytes.Equal(o, n) }) {
			continue
		}
		behind := slices.Clone(v.nals[at:])
		v.nals = v.nals[:at]
		v.add(n)
		at = len(v.nals)
		v.nals = append(v.nals, behind...)
	}
	v.lead.clear()
}

// add appends a NAL unit to the open picture, within its limits.
func (v *video) add(nal []byte) {
	if v.size+len(nal) > maxSize || len(v.nals) == maxNALs {
		v.damage()
		v.nals, v.size = v.nals[:0], 0
	}
	if _, ok := codec.ParameterSet(v.codec, nal); ok {
		v.params = true
	}
	v.nals = append(v.nals, nal)
	v.size += len(nal)
}

// mark notes the marker of a packet and releases the picture if it can be
// believed. The marker of a packet without a slice means nothing.
func (v *video) mark(out []AU, h head) []AU {
	if !h.marker || !v.open || v.parts.active || h.ts != v.ts || len(v.lead.nals) > 0 {
		return out
	}
	v.marked = true
	if v.proved < proofs {
		return out
	}
	v.released, v.early = v.ts, true
	return v.finish(out)
}

// finish ends the open picture and gives it out unless a part is missing.
func (v *video) finish(out []AU) []AU {
	switch {
	case v.marked && v.proved >= 0 && v.proved < proofs:
		v.proved++
	case !v.marked && v.hole: // its end may be among the lost packets
		v.damaged = true
	}
	if v.damaged {
		v.drops++
		v.lost = true
	} else {
		out = append(out, AU{
			Data: slices.Clone(v.nals), RTP: v.ts, Wall: v.wall, Key: v.key, Params: v.params, Lost: v.lost,
		})
		v.lost = false
	}
	clear(v.nals)
	v.nals, v.size = v.nals[:0], 0
	v.open, v.damaged, v.marked, v.key, v.params = false, false, false, false, false
	return out
}

func (v *video) flush(out []AU, complete bool) []AU {
	if v.parts.drop() {
		v.damage()
	}
	if v.open {
		v.hole = v.hole || !complete
		out = v.finish(out)
	}
	v.lead.clear()
	v.hole, v.early, v.damaged = false, false, false
	return out
}

func (l *lead) add(nal []byte, at time.Time) {
	if len(l.nals) >= maxNALs || l.size+len(nal) > maxSize {
		l.clear()
	}
	if len(l.nals) == 0 {
		l.wall = at
	}
	l.nals = append(l.nals, nal)
	l.size += len(nal)
}

func (l *lead) clear() {
	clear(l.nals)
	l.nals, l.size = l.nals[:0], 0
}

// fragments are the parts of a NAL unit.
type fragments struct {
	active bool
	header [2]byte
	size   int
	n      int // bytes of header
	parts  [][]byte
}

func (f *fragments) begin(header []byte) {
	f.drop()
	f.active = true
	f.n = copy(f.header[:], header)
	f.size = f.n
}

// add takes the next part. One without a byte may still be the end.
func (f *fragments) add(part []byte) {
	if len(part) == 0 {
		return
	}
	f.parts = append(f.parts, part)
	f.size += len(part)
}

// join returns the whole NAL unit in memory of its own.
func (f *fragments) join() []byte {
	nal := append(make([]byte, 0, f.size), f.header[:f.n]...)
	for _, p := range f.parts {
		nal = append(nal, p...)
	}
	f.drop()
	return nal
}

// drop forgets the parts and tells whether there were any.
func (f *fragments) drop() bool {
	was := f.active
	clear(f.parts)
	f.parts, f.size, f.active = f.parts[:0], 0, false
	return was
}

func positive(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0
}
