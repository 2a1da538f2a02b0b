package rtspd

import (
	"bytes"
	"strconv"
)

// inbound takes the interleaved frames out of what a client sends, its RTCP.
// Nobody needs it, and gortsplib closes connections on which it arrives while
// nothing plays: after PAUSE and TEARDOWN, when some is always on its way.
//
// The zero value stands before the first message.
type inbound struct {
	state inboundState
	head  [4]byte // of a frame
	have  int     // bytes in head
	left  int     // bytes of the frame or of the body that are still to come
	body  int     // Content-Length of the request in hand
	line  []byte  // of the request's head, as far as it matters
}

type inboundState uint8

const (
	between inboundState = iota // at the start of a message
	inFrameHead
	inFrame
	inHead
	inBody
)

// maxLine is how much of a header line is looked at.
const maxLine = 64

// requests moves the bytes of b that belong to requests to its front and
// returns their number.
func (in *inbound) requests(b []byte) int {
	kept := 0
	for taken := 0; taken < len(b); {
		n, keep := in.step(b[taken:])
		if keep {
			kept += copy(b[kept:], b[taken:taken+n])
		}
		taken += n
	}
	return kept
}

// step looks at the first bytes of b, at least one, and returns how many belong
// together and whether they are part of a request.
func (in *inbound) step(b []byte) (n int, keep bool) {
	switch in.state {
	case inFrameHead:
		n = copy(in.head[in.have:], b)
		if in.have += n; in.have == len(in.head) {
			in.until(inFrame, int(in.head[2])<<8|int(in.head[3]))
		}
		return n, false
	case inFrame, inBody:
		n, keep = min(in.left, len(b)), in.state == inBody
		in.until(in.state, in.left-n)
		return n, keep
	case inHead:
		return in.headLine(b), true
	}
	switch b[0] {
	case '$':
		in.state, in.have = inFrameHead, 0
		return 0, false
	case '\r', '\n':
		return 1, true
	}
	in.state, in.body, in.line = inHead, 0, in.line[:0]
	return 0, true
}

// until enters a state for so many bytes.
func (in *inbound) until(s inboundState, left int) {
	if in.state, in.left = s, left; left == 0 {
		in.state = between
	}
}

// headLine takes bytes up to the end of a line of the head.
func (in *inbound) headLine(b []byte) int {
	end := bytes.IndexByte(b, '\n')
	n := end + 1
	if end < 0 {
		n = len(b)
	}
	in.line = append(in.line, b[:min(n, maxLine-len(in.line))]...)
	if end < 0 {
		return n
	}
	line := bytes.TrimSpace(in.line)
	in.line = in.line[:0]
	if len(line) == 0 {
		in.until(inBody, in.body)
		return n
	}
	key, value, _ := bytes.Cut(line, []byte(":"))
	if bytes.EqualFold(key, []byte("Content-Length")) {
		if v, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 24); err == nil {
			in.body = int(v)
		}
	}
	return n
}
