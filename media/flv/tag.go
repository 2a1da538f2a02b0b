package flv

import (
	"encoding/binary"
	"time"
)

// Type is the type of a tag, and of the RTMP message that carries its body.
type Type uint8

// The types of tag (§E.4.1).
const (
	Audio  Type = 8
	Video  Type = 9
	Script Type = 18
)

// Tag is one FLV tag. Its body is Head followed by Data.
type Tag struct {
	Type      Type
	Timestamp uint32    // milliseconds since the first key frame, modulo 2^32; DTS
	Key       bool      // a picture at which a reader may start
	Header    bool      // metadata or a sequence header: it describes the tags that follow
	Prefixed  bool      // each item of Data goes out behind its length in four bytes
	Data      [][]byte  // the unit's own memory, not to be written to
	Wall      time.Time // arrival of the unit by the box's clock, with its monotonic reading; zero for a Header

	head [8]byte
	n    uint8 // bytes of head
}

// Head returns the codec's header, 0 to 8 bytes that live in the tag.
func (t *Tag) Head() []byte { return t.head[:t.n] }

// Size returns the bytes of the body.
func (t *Tag) Size() int {
	n := int(t.n)
	for _, d := range t.Data {
		n += len(d)
	}
	if t.Prefixed {
		n += 4 * len(t.Data)
	}
	return n
}

// AppendBody appends the body and returns the longer slice.
func (t *Tag) AppendBody(b []byte) []byte {
	b = append(b, t.head[:t.n]...)
	for _, d := range t.Data {
		if t.Prefixed {
			b = binary.BigEndian.AppendUint32(b, uint32(len(d)))
		}
		b = append(b, d...)
	}
	return b
}

// Sizes of a body and of what surrounds it in a file.
const (
	TagHeader  = 11
	TagTrailer = 4
	MaxBody    = 1<<24 - 1
)

// AppendFileHeader appends the beginning of a file or an HTTP-FLV response,
// with the size of the tag before the first, and returns the longer slice
// (§E.2, §E.3).
func AppendFileHeader(b []byte, video, audio bool) []byte {
	var flags byte
	if audio {
		flags |= 4
	}
	if video {
		flags |= 1
	}
	return append(b, 'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0)
}

// AppendTag appends the tag as it stands in a file, with its size behind it,
// and returns the longer slice (§E.4.1). The body is at most MaxBody.
func (t *Tag) AppendTag(b []byte) []byte {
	n := t.Size()
	b = append(b, byte(t.Type), byte(n>>16), byte(n>>8), byte(n))
	ts := t.Timestamp
	b = append(b, byte(ts>>16), byte(ts>>8), byte(ts), byte(ts>>24), 0, 0, 0)
	b = t.AppendBody(b)
	return binary.BigEndian.AppendUint32(b, uint32(TagHeader+n))
}
