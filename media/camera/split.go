package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// chunk is what a stretch of an interleaved connection is.
type chunk uint8

const (
	chunkPartial chunk = iota // not all of it is there yet
	chunkJunk                 // to be skipped
	chunkOther                // an interleaved frame of a channel that was never set up
	chunkRTP                  // an interleaved frame that holds an RTP packet
	chunkRTCP                 // an interleaved frame that holds RTCP packets
	chunkMessage              // a whole RTSP request or answer
)

// Bounds of what is believed.
const (
	maxHead = 16 << 10
	maxBody = 128 << 10 // gortsplib takes no more
	maxJunk = 1 << 20   // between two packets; more ends the session
)

var (
	errJunk    = errors.New("the camera sends what is neither RTP nor RTSP")
	headEnd    = []byte("\r\n\r\n")
	beginnings = [...][]byte{
		[]byte("RTSP/1."), []byte("OPTIONS "), []byte("ANNOUNCE "), []byte("GET_PARAMETER "),
		[]byte("SET_PARAMETER "), []byte("TEARDOWN "), []byte("REDIRECT "), []byte("DESCRIBE "),
	}
)

// channels tells what each interleaved channel carries.
type channels [256]struct {
	kind  chunk // chunkRTP, chunkRTCP, or chunkPartial for one that was never set up
	track uint8
}

// assign says that a pair of channels carries a track; false: one of them
// carries another.
func (c *channels) assign(rtp, rtcp byte, track int) bool {
	if rtp == rtcp || c[rtp].kind != chunkPartial || c[rtcp].kind != chunkPartial {
		return false
	}
	c[rtp].kind, c[rtcp].kind = chunkRTP, chunkRTCP
	c[rtp].track, c[rtcp].track = uint8(track), uint8(track)
	return true
}

// splitter tells what the bytes of a connection are.
type splitter struct {
	astray bool        // the last bytes were junk
	junk   int         // bytes of it since the last packet
	known  [256]uint64 // by channel: SSRC and payload type of the last RTP packet, 0 if there was none
}

// next returns the kind and the length of what b, which is not empty, begins
// with. Of a chunkPartial the length is as far as it is known. Old servers send
// what a dead session has left over on channels of its own: such frames are
// skipped as a whole. In the midst of junk a frame counts only if everything
// about it is right.
//
// Specification: RFC 2326 §10.12
func (s *splitter) next(ch *channels, b []byte) (c chunk, n int, err error) {
	switch {
	case b[0] == '$':
		c, n = s.frame(ch, b)
	case begins(b):
		c, n = message(b)
	default:
		c, n = chunkJunk, junk(b)
	}
	switch c {
	case chunkPartial, chunkOther:
	case chunkJunk:
		s.astray = s.astray || len(bytes.Trim(b[:n], "\r\n\x00 ")) > 0 // padding is no reason to doubt
		s.junk += n
		if s.junk > maxJunk {
			return c, n, errJunk
		}
	case chunkRTP, chunkRTCP, chunkMessage:
		s.astray, s.junk = false, 0
	}
	return c, n, nil
}

// Sizes of headers.
const (
	frameHeader = 4
	rtpHeader   = 12
	rtcpHeader  = 4
)

func (s *splitter) frame(ch *channels, b []byte) (c chunk, n int) {
	if len(b) < frameHeader {
		return chunkPartial, frameHeader
	}
	n = frameHeader + int(binary.BigEndian.Uint16(b[2:]))
	c = ch[b[1]].kind
	least := frameHeader + rtcpHeader
	if c == chunkRTP {
		least = frameHeader + rtpHeader
	}
	const version = 2 << 6
	switch {
	case n < least || len(b) > frameHeader && b[frameHeader]&0xc0 != version || c == chunkPartial && s.astray:
		return chunkJunk, junk(b)
	case n > len(b):
		return chunkPartial, n
	case c == chunkPartial:
		return chunkOther, n
	}
	id := uint64(0)
	if c == chunkRTP {
		const set = 1 << 63 // so that it is never 0
		id = set | uint64(b[5]&0x7f)<<32 | uint64(binary.BigEndian.Uint32(b[12:]))
	}
	if s.astray && (id == 0 || id != s.known[b[1]]) {
		switch {
		case n == len(b): // what follows decides
			return chunkPartial, n + 1
		case b[n] != '$' && b[n] != 'R':
			return chunkJunk, junk(b)
		}
	}
	s.known[b[1]] = id
	return c, n
}

// begins tells whether b may begin an RTSP message.
func begins(b []byte) bool {
	for _, s := range beginnings {
		if n := min(len(b), len(s)); bytes.Equal(b[:n], s[:n]) {
			return true
		}
	}
	return false
}

// message measures an RTSP message: head, and body by Content-Length.
func message(b []byte) (c chunk, n int) {
	end := bytes.Index(b[:min(len(b), maxHead)], headEnd)
	if end < 0 {
		if len(b) >= maxHead {
			return chunkJunk, junk(b)
		}
		return chunkPartial, len(b) + 1
	}
	n = end + len(headEnd)
	if v, ok := field(b[:end], "Content-Length"); ok {
		body, err := strconv.Atoi(v)
		if err != nil || body < 0 || body > maxBody {
			return chunkJunk, junk(b)
		}
		n += body
	}
	if n > len(b) {
		return chunkPartial, n
	}
	return chunkMessage, n
}

// field returns the value of a header field of an RTSP message.
func field(head []byte, name string) (value string, ok bool) {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) == 0 {
			break
		}
		key, v, found := bytes.Cut(line, []byte(":"))
		if found && bytes.EqualFold(bytes.TrimSpace(key), []byte(name)) {
			return string(bytes.TrimSpace(v)), true
		}
	}
	return "", false
}

// junk measures bytes that belong to nothing, up to where something may begin.
func junk(b []byte) int {
	for i := 1; i < len(b); i++ {
		if b[i] == '$' || begins(b[i:]) {
			return i
		}
	}
	return len(b)
}
