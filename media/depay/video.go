package depay

import (
	"bytes"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// proofs is how many pictures in a row must have ended with a marker before
// the marker may release one.
const proofs = 3

// video assembles access units of H.264 and H.265.
type video struct {
	codec  media.Codec
	don    bool // H.265 with sprop-max-don-diff > 0
	fields bool // two fields of a picture may share a time stamp

	// The picture that is being assembled.
	nals    [][]byte
	size    int
	ts      uint32
	wall    time.Time
	open    bool // has a slice
	damaged bool
	marked  bool // the packet with its last slice had the marker
	key     bool
	params  bool

	lead  lead      // what comes before the first slice of the next picture
	parts fragments // of a NAL unit

	hole     bool   // packets are missing since the last slice
	lost     bool   // told with the next access unit
	proved   int    // pictures that ended with the marker; negative: the marker lies
	released uint32 // stamp of the picture that the marker released
	early    bool   // released is valid
	drops    uint64
}

// lead holds NAL units until it is known to which picture they belong.
type lead struct {
	nals [][]byte
	size int
	wall time.Time
}

func newVideo(t *media.Track) *video {
	v := &video{codec: t.Codec, don: t.Codec == media.CodecH265 && positive(t.FMTP["sprop-max-don-diff"])}
	v.describe(t)
	return v
}

// describe takes what is needed from the parameter sets of t.
func (v *video) describe(t *media.Track) {
	if s, err := codec.ParseSPS(t.Codec, t.SPS); err == nil {
		v.fields = s.Fields
	}
}

func (v *video) dropped() uint64 { return v.drops }

func (v *video) payload(out []AU, h head, p []byte) ([]AU, error) {
	if h.hole {
		v.hole = true
	}
	if (h.hole || h.restart) && v.parts.drop() {
		v.damage()
	}
	l := layoutOf(v.codec, p, v.don)
	if l.shape == wrapped {
		l = layoutOf(v.codec, unwrap(p), v.don)
	}
	var err error
	last := h.ts
	switch l.shape {
	case single:
		out, err = v.interrupt(out)
		nal := l.body
		if l.don > 0 { // the number stands between header and payload
			nal = slices.Concat(nal[:2], nal[4:])
		}
		out = v.whole(out, h, nal)
	case several:
		out, err = v.interrupt(out)
		for first := true; len(l.body) > 0; first = false {
			nal, offset, ok := l.next(first)
			if !ok {
				err = errPayload
				break
			}
			if len(nal) > 0 {
				hn := h
				hn.ts += offset
				out = v.whole(out, hn, nal)
				last = hn.ts
			}
		}
	case fragment:
		out, err = v.fragment(out, h, &l)
	default:
		err = errPayload
	}
	h.ts = last
	return v.mark(out, h), err
}

// interrupt drops a fragmented NAL unit whose end never came.
func (v *video) interrupt(out []AU) ([]AU, error) {
	if v.parts.drop() {
		v.damage()
		return out, errFragment
	}
	return out, nil
}

// damage makes sure that the picture whose part is missing is not given out.
func (v *video) damage() {
	v.damaged = true
	v.lost = true
}

func (v *video) fragment(out []AU, h head, l *layout) ([]AU, error) {
	var err error
	vcl := codec.IsVCL(v.codec, l.nal[:])
	switch {
	case l.start && len(l.body) > 0:
		out, err = v.interrupt(out)
		if vcl {
			out = v.enter(out, h, v.startsPicture(l))
		}
		v.parts.begin(l.nal[:l.nalLen])
	case !v.parts.active:
		if vcl {
			out = v.orphan(out, h)
		}
		return out, errFragment
	}
	if v.size+v.parts.size+len(l.body) > maxSize || len(v.parts.parts) == maxParts {
		v.parts.drop()
		v.damage()
		return out, errLimit
	}
	v.parts.add(l.body)
	if !l.end {
		return out, err
	}
	nal := v.parts.join()
	if codec.IsVCL(v.codec, nal) { // by the header of its first part, which opened the picture
		v.slice(nal)
		return out, err
	}
	return v.whole(out, h, nal), err
}

// startsPicture tells it of a fragmented slice from its first bytes.
func (v *video) startsPicture(l *layout) bool {
	nal := [3]byte{l.nal[0], l.nal[1], l.body[0]}
	return codec.StartsPicture(v.codec, append(nal[:l.nalLen], l.body[0]))
}

// whole takes a complete NAL unit.
func (v *video) whole(out []AU, h head, nal []byte) []AU {
	switch codec.ClassOf(v.codec, nal) {
	case codec.Slice:
		out = v.enter(out, h, codec.StartsPicture(v.codec, nal))
		v.slice(nal)
	case codec.Params, codec.Prefix:
		if i := bytes.Index(nal, annexB[1:]); i >= 0 { // a byte stream in one NAL unit
			return v.stream(out, h, nal)
		}
		v.lead.add(nal, h.arrival)
	case codec.Delimiter:
		if bytes.Contains(nal, annexB[1:]) {
			return v.stream(out, h, nal)
		}
	case codec.Suffix:
		if v.open {
			v.add(nal)
		}
	case codec.Other:
		if bytes.HasPrefix(nal, annexB[1:]) || bytes.HasPrefix(nal, annexB) {
			return v.stream(out, h, nal)
		}
	}
	return out
}

var annexB = []byte{0, 0, 0, 1}

// stream takes NAL units that a camera has wrapped as a byte stream.
func (v *video) stream(out []AU, h head, b []byte) []AU {
	if !bytes.HasPrefix(b, annexB[1:]) && !bytes.HasPrefix(b, annexB) {
		b = slices.Concat(annexB, b)
	}
	for _, nal := range codec.SplitAnnexB(nil, b) {
		if codec.ClassOf(v.codec, nal) != codec.Other {
			out = v.whole(out, h, nal)
		}
	}
	return out
}

// enter prepares for a slice: it ends the open picture if the slice is of
// another one and opens its own.
func (v *video) enter(out []AU, h head, first bool) []AU {
	out = v.boundary(out, h, first)
	if !v.open {
		v.begin(h, first)
	} else if len(v.lead.nals) > 0 {
		v.insert()
	}
	if v.hole { // between two slices of this picture
		v.hole = false
		v.damage()
	}
	v.marked = false
	return out
}

// slice adds a slice to the open picture.
func (v *video) slice(nal []byte) {
	v.key = v.key || codec.IsKey(v.codec, nal)
	v.add(nal)
}

// boundary ends the open picture if a slice that comes now is of another one.
// A slice that is not the first of its picture belongs to the open one even
// with another stamp, unless its beginning may be among lost packets.
func (v *video) boundary(out []AU, h head, first bool) []AU {
	if !v.open {
		return out
	}
	other := h.ts != v.ts && v.hole
	if first {
		other = h.ts != v.ts || !v.fields
	}
	if !other {
		if v.marked {
			v.proved = -1
		}
		return out
	}
	return v.finish(out)
}

// begin opens the picture of a slice.
func (v *video) begin(h head, first bool) {
	if v.early && v.released == h.ts && (!first || v.fields) {
		v.proved = -1 // released by a marker that was not at the end
	}
	v.early = false
	v.open, v.ts, v.wall = true, h.ts, h.arrival
	v.damaged = !first
	if v.hole {
		v.hole, v.lost = false, true
	}
	v.take()
}

// orphan takes a part of a slice whose beginning is missing.
func (v *video) orphan(out []AU, h head) []AU {
	if v.open && h.ts != v.ts {
		out = v.finish(out)
	}
	if !v.open {
		v.begin(h, false)
	}
	v.damage()
	return out
}
