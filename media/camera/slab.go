package camera

import "time"

// Sizes of the buffer that the socket is read into.
const (
	minSlab  = 32 << 10
	maxSlab  = 256 << 10
	maxFrame = 4 + 65535
)

// slab is a buffer that is only ever appended to: what has been published
// aliases it, so its bytes never change again. When it is full a new one takes
// over, and the garbage collector frees the old with the last entry. Its size
// follows the camera's rate, so that a slow one does not hold much unused.
type slab struct {
	buf  []byte
	r, w int // buf[r:w] is not parsed yet
	size int
	born time.Time
}

// room returns space to read into. need is the length of what begins at r, as
// far as it is known: there is space for the rest of it.
func (s *slab) room(need int, now time.Time) []byte {
	free := len(s.buf) - s.w
	if free < s.size/16 || free == 0 || s.r+need > len(s.buf) {
		s.renew(need, now)
	}
	return s.buf[s.w:]
}

func (s *slab) renew(need int, now time.Time) {
	rest := s.buf[s.r:s.w]
	switch age := now.Sub(s.born); {
	case s.size == 0:
		s.size = minSlab
	case age < time.Second/2:
		s.size = min(2*s.size, maxSlab)
	case age > 4*time.Second:
		s.size = max(s.size/2, minSlab)
	}
	s.buf = make([]byte, max(s.size, len(rest)+s.size/2, need))
	s.r, s.w, s.born = 0, copy(s.buf, rest), now
}

// unparsed returns what has been read and not been parsed. Its capacity is the
// slab's.
func (s *slab) unparsed() []byte { return s.buf[s.r:s.w] }
