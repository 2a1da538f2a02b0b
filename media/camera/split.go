package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// chunkKind is what a stretch of an interleaved connection is.
type chunkKind uint8

const (
	chunkPartial chunkKind = iota // not all of it is there yet
	chunkMedia                    // an interleaved frame of an RTP channel
	chunkControl                  // an interleaved frame of an RTCP channel, or a whole RTSP message
	chunkJunk                     // to be skipped
)

// maxMessage bounds an RTSP message; longer ones end the session.
const maxMessage = 256 << 10

var (
	errMessage = errors.New("the camera sends something that is neither RTP nor RTSP")
	magic      = []byte("RTSP/1.0 ")
	headEnd    = []byte("\r\n\r\n")
)

// channels tells what each interleaved channel carries.
type channels [256]chunkKind // chunkMedia, chunkControl, or chunkJunk

// next returns the kind and length of the first chunk of b, which is not
// empty. A frame of a channel that was never set up is junk: old cameras send
// what a dead session has left over.
//
// Specification: RFC 2326 §10.12
func (c *channels) next(b []byte) (kind chunkKind, n int, err error) {
	if b[0] == '$' {
		if len(b) < 4 {
			return chunkPartial, 0, nil
		}
		n = 4 + int(binary.BigEndian.Uint16(b[2:]))
		kind = c[b[1]]
		if kind == chunkMedia && n < 4+12 {
			kind = chunkJunk
		}
		if n > len(b) {
			kind = chunkPartial
		}
		return kind, n, nil
	}
	if n := min(len(b), len(magic)); bytes.Equal(b[:n], magic[:n]) || isRequest(b) {
		return message(b)
	}
	return chunkJunk, junk(b), nil
}

// isRequest tells whether b begins like a request of the camera's: a method in
// capitals. Cameras send OPTIONS or ANNOUNCE, rarely.
func isRequest(b []byte) bool {
	for i, ch := range b[:min(len(b), 16)] {
		switch {
		case ch >= 'A' && ch <= 'Z' || ch == '_' && i > 0:
		case ch == ' ':
			return i >= 3
		default:
			return false
		}
	}
	return len(b) < 16
}

// message measures an RTSP message: head, and body by Content-Length.
func message(b []byte) (kind chunkKind, n int, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxMessage {
			return chunkJunk, 0, errMessage
		}
		return chunkPartial, 0, nil
	}
	n = end + len(headEnd)
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || !bytes.EqualFold(bytes.TrimSpace(key), []byte("Content-Length")) {
			continue
		}
		body, e := strconv.Atoi(string(bytes.TrimSpace(value)))
		if e != nil || body < 0 || body > maxMessage {
			return chunkJunk, 0, errMessage
		}
		n += body
	}
	if n > len(b) {
		return chunkPartial, 0, nil
	}
	return chunkControl, n, nil
}

// junk measures bytes that belong to nothing, up to where something may begin.
func junk(b []byte) int {
	for i := 1; i < len(b); i++ {
		if b[i] == '$' || b[i] == 'R' {
			return i
		}
	}
	return len(b)
}
