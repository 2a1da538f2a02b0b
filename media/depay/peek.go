package depay

import (
	"camrelay/media"
	"camrelay/media/codec"
)

// Info is what one RTP packet shows by itself.
type Info struct {
	Start  bool // holds the beginning of a picture
	Key    bool // holds a part of a key picture
	Params bool // holds a parameter set
}

// Peek looks at one RTP packet, header included, of an H.264 or H.265 track.
// It understands single NAL units, aggregates and fragments; of anything else
// it tells nothing. It allocates nothing and reads only a few bytes.
func Peek(c media.Codec, packet []byte) Info {
	if c != media.CodecH264 && c != media.CodecH265 {
		return Info{}
	}
	_, p, err := parse(packet)
	if err != nil {
		return Info{}
	}
	l := layoutOf(c, p, false)
	var i Info
	switch l.shape {
	case single:
		i.add(c, l.body)
	case fragment:
		i.addFragment(c, &l)
	case several:
		for first := true; len(l.body) > 0; first = false {
			nal, _, ok := l.next(first)
			if !ok {
				break
			}
			i.add(c, nal)
		}
	}
	return i
}

func (i *Info) add(c media.Codec, nal []byte) {
	if _, ok := codec.ParameterSet(c, nal); ok {
		i.Params = true
		return
	}
	i.Key = i.Key || codec.IsKey(c, nal)
	i.Start = i.Start || codec.StartsPicture(c, nal)
}

func (i *Info) addFragment(c media.Codec, l *layout) {
	if len(l.body) == 0 {
		return
	}
	head := [3]byte{l.nal[0], l.nal[1], l.body[0]}
	if l.nalLen == 1 {
		head[1] = l.body[0]
	}
	i.add(c, head[:])
	i.Start = i.Start && l.start
}

// Params appends the parameter sets in one RTP packet, header included, to out
// as slices of the packet. A fragmented parameter set is not found.
func Params(c media.Codec, packet []byte, out [][]byte) [][]byte {
	_, p, err := parse(packet)
	if err != nil {
		return out
	}
	l := layoutOf(c, p, false)
	switch l.shape {
	case single:
		if _, ok := codec.ParameterSet(c, l.body); ok {
			out = append(out, l.body)
		}
	case several:
		for first := true; len(l.body) > 0; first = false {
			nal, _, ok := l.next(first)
			if !ok {
				break
			}
			if _, ok := codec.ParameterSet(c, nal); ok {
				out = append(out, nal)
			}
		}
	}
	return out
}
