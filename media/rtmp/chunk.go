package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Message types (§5.4, §6.2, §7.1).
const (
	typeChunkSize   = 1
	typeAbort       = 2
	typeAck         = 3
	typeUserControl = 4
	typeWindow      = 5
	typeBandwidth   = 6
	typeData        = 18
	typeCommand3    = 17
	typeCommand     = 20
)

// Chunk streams that we write on.
const (
	streamControl = 2
	streamCommand = 3
	streamAudio   = 4
	streamData    = 5
	streamVideo   = 6
)

const (
	defaultChunkSize = 128
	noTimestamp      = 0xffffff // an extended timestamp follows
)

// Bounds of what the other side may send, which is no media.
const (
	maxMessage = 64 << 10
	maxStreams = 32
)

// message is one RTMP message.
type message struct {
	kind   byte
	stream uint32
	body   []byte // valid during the call that it is handed to
}

// chunkReader puts messages together. Its memory is bounded by the constants
// above, whatever it is fed.
type chunkReader struct {
	size    int // of the sender's chunks
	buf     []byte
	streams map[uint32]*chunkStream
	held    int // bytes of messages that are not complete
}

// chunkStream is what the headers of one chunk stream refer back to.
type chunkStream struct {
	length   int
	kind     byte
	stream   uint32
	extended bool
	body     []byte
	open     bool // body is part of a message
}

var (
	errChunk   = errors.New("malformed RTMP chunk")
	errMessage = fmt.Errorf("RTMP message of more than %d bytes", maxMessage)
	errStreams = fmt.Errorf("more than %d RTMP chunk streams", maxStreams)
)

func newChunkReader() *chunkReader {
	return &chunkReader{size: defaultChunkSize, streams: make(map[uint32]*chunkStream)}
}

// feed takes b and hands each message that is complete to yield, whose error
// ends it. The reader is of no use after an error.
func (r *chunkReader) feed(b []byte, yield func(message) error) error {
	r.buf = append(r.buf, b...)
	used := 0
	for {
		n, err := r.chunk(r.buf[used:], yield)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		used += n
	}
	r.buf = r.buf[:copy(r.buf, r.buf[used:])]
	return nil
}

// chunk reads one chunk and returns its size, 0 if it is not complete.
func (r *chunkReader) chunk(b []byte, yield func(message) error) (int, error) {
	format, id, n := basicHeader(b)
	if n == 0 {
		return 0, nil
	}
	s := r.streams[id]
	if s == nil {
		if format > 1 || len(r.streams) == maxStreams {
			return 0, errors.Join(errChunk, r.tooMany())
		}
		s = &chunkStream{}
	}
	h := *s
	n, ok := h.header(format, b, n)
	if !ok {
		return 0, nil
	}
	if format != 3 && s.open {
		return 0, errChunk
	}
	if h.length > maxMessage || r.held > maxMessage*2 {
		return 0, errMessage
	}
	part := min(h.length-len(s.body), r.size)
	if len(b) < n+part {
		return 0, nil
	}
	h.open = true
	h.body = append(h.body, b[n:n+part]...)
	r.held += part
	*s = h
	r.streams[id] = s
	if len(s.body) < s.length {
		return n + part, nil
	}
	r.held -= s.length
	s.open = false
	body := s.body
	s.body = s.body[:0]
	return n + part, r.complete(message{s.kind, s.stream, body}, yield)
}

func (r *chunkReader) tooMany() error {
	if len(r.streams) == maxStreams {
		return errStreams
	}
	return nil
}

// basicHeader reads the 1 to 3 bytes of §5.3.1.1; n is 0 if they are not there.
func basicHeader(b []byte) (format byte, id uint32, n int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	format, id = b[0]>>6, uint32(b[0]&0x3f)
	switch {
	case id > 1:
		return format, id, 1
	case id == 0 && len(b) >= 2:
		return format, 64 + uint32(b[1]), 2
	case id == 1 && len(b) >= 3:
		return format, 64 + uint32(b[1]) + uint32(b[2])<<8, 3
	}
	return 0, 0, 0
}

// header reads the message header (§5.3.1.2) and the extended timestamp at
// b[n:] and returns where the payload begins.
func (s *chunkStream) header(format byte, b []byte, n int) (int, bool) {
	sizes := [4]int{11, 7, 3, 0}
	if len(b) < n+sizes[format] {
		return 0, false
	}
	h := b[n:]
	if format <= 2 {
		s.extended = uint24(h) == noTimestamp
	}
	if format <= 1 {
		s.length, s.kind = uint24(h[3:]), h[6]
	}
	if format == 0 {
		s.stream = binary.LittleEndian.Uint32(h[7:])
	}
	n += sizes[format]
	if s.extended {
		n += 4
	}
	return n, len(b) >= n
}

// complete acts on the messages that concern the reader and hands on all.
func (r *chunkReader) complete(m message, yield func(message) error) error {
	switch m.kind {
	case typeChunkSize:
		if len(m.body) < 4 {
			return errChunk
		}
		size := binary.BigEndian.Uint32(m.body)
		if size == 0 || size > 1<<31-1 {
			return errChunk
		}
		r.size = int(size)
	case typeAbort:
		if len(m.body) < 4 {
			return errChunk
		}
		if s := r.streams[binary.BigEndian.Uint32(m.body)]; s != nil && s.open {
			r.held -= len(s.body)
			s.body, s.open = s.body[:0], false
		}
	}
	return yield(m)
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// appendMessage appends a message in chunks of the given size, with absolute
// timestamp 0, and returns the longer slice.
func appendMessage(b []byte, id byte, chunkSize int, m message) []byte {
	n := len(m.body)
	b = append(b, id, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n), m.kind)
	b = binary.LittleEndian.AppendUint32(b, m.stream)
	body := m.body
	for len(body) > chunkSize {
		b = append(b, body[:chunkSize]...)
		b = append(b, 3<<6|id)
		body = body[chunkSize:]
	}
	return append(b, body...)
}
