package camera

// Sizes of the buffer that the socket is read into.
const (
	slabSize = 256 << 10
	slabLeft = 16 << 10 // with less room than this a new slab is begun
	maxFrame = 4 + 65535
)

// slab is a buffer that is only ever appended to: what has been published
// aliases it, so its bytes never change again. When it is full a new one takes
// over, and the garbage collector frees the old with the last entry.
type slab struct {
	buf  []byte
	r, w int // buf[r:w] is not parsed yet
}

// room returns space to read into, at least slabLeft bytes.
func (s *slab) room() []byte {
	if len(s.buf)-s.w < slabLeft {
		rest := s.buf[s.r:s.w]
		s.buf = make([]byte, max(slabSize, len(rest)+maxFrame))
		s.r, s.w = 0, copy(s.buf, rest)
	}
	return s.buf[s.w:]
}

// unparsed returns what has been read and not been parsed.
func (s *slab) unparsed() []byte { return s.buf[s.r:s.w:s.w] }
