package rtmp

import (
	"encoding/binary"
	"net"

	"camrelay/media/flv"
)

// chunkSize is that of the chunks we send: nearly every message is one chunk.
const chunkSize = 64 << 10

// setDataFrame precedes the metadata that a publisher sends.
const setDataFrame = "@setDataFrame"

// batch gathers messages as chunks for one write. Long payloads stay where
// they are, short ones and headers are copied side by side.
type batch struct {
	stream uint32 // message stream ID
	script string // precedes metadata
	copies int    // payloads shorter than this are copied

	small []byte
	from  int // small[from:] is not in bufs yet
	bufs  net.Buffers
	size  int
	units int
}

// worthCopying is where a vector of its own is cheaper than a copy.
const worthCopying = 1 << 10

// add appends the tag as one message. Its media is referred to until reset.
func (b *batch) add(t *flv.Tag) {
	id, body := byte(streamVideo), t.Size()
	switch t.Type {
	case flv.Audio:
		id = streamAudio
	case flv.Script:
		id = streamData
		if b.script != "" {
			body += 3 + len(b.script)
		}
	}
	c := chunker{b: b, id: id, left: chunkSize}
	c.header(byte(t.Type), body, t.Timestamp)
	if t.Type == flv.Script && b.script != "" {
		c.write(flv.AppendScript(nil, b.script))
	}
	c.write(t.Head())
	for _, d := range t.Data {
		if t.Prefixed {
			c.length(len(d))
		}
		c.write(d)
	}
	if !t.Header {
		b.units++
	}
}

// buffers closes the batch and returns it for one write; they are used up by it.
func (b *batch) buffers() net.Buffers {
	b.cut()
	return b.bufs
}

// reset empties the batch and lets go of the media.
func (b *batch) reset() {
	clear(b.bufs)
	b.bufs, b.small = b.bufs[:0], b.small[:0]
	b.from, b.size, b.units = 0, 0, 0
	if cap(b.small) > 2*maxWrite {
		b.small = nil
	}
}

// piece appends bytes of the wire.
func (b *batch) piece(p []byte) {
	b.size += len(p)
	if len(p) < b.copies {
		b.small = append(b.small, p...)
		return
	}
	b.cut()
	b.bufs = append(b.bufs, p)
}

// cut ends the vector of copied bytes. When small grows later, the vectors
// that were cut off keep the memory that they are in.
func (b *batch) cut() {
	if n := len(b.small); n > b.from {
		b.bufs = append(b.bufs, b.small[b.from:n:n])
		b.from = n
	}
}

// chunker writes one message into a batch.
type chunker struct {
	b        *batch
	id       byte
	left     int // bytes that fit into this chunk
	extended [4]byte
	wide     bool // extended repeats in each chunk
}

// header writes a header of type 0 (§5.3.1.2.1), which refers to no message
// before it, so that stamps may fall from one chunk stream to the other.
func (c *chunker) header(kind byte, length int, timestamp uint32) {
	short := timestamp
	if timestamp >= noTimestamp {
		short, c.wide = noTimestamp, true
		binary.BigEndian.PutUint32(c.extended[:], timestamp)
	}
	n := len(c.b.small)
	c.b.small = append(c.b.small, c.id, byte(short>>16), byte(short>>8), byte(short),
		byte(length>>16), byte(length>>8), byte(length), kind)
	c.b.small = binary.LittleEndian.AppendUint32(c.b.small, c.b.stream)
	c.b.size += len(c.b.small) - n
	c.extend()
}

func (c *chunker) extend() {
	if c.wide {
		c.b.small = append(c.b.small, c.extended[:]...)
		c.b.size += len(c.extended)
	}
}

func (c *chunker) length(n int) {
	p := [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	for i := range p {
		if c.left == 0 {
			c.next()
		}
		c.b.small = append(c.b.small, p[i])
		c.b.size++
		c.left--
	}
}

func (c *chunker) write(p []byte) {
	for len(p) > c.left {
		c.b.piece(p[:c.left])
		p = p[c.left:]
		c.next()
	}
	c.b.piece(p)
	c.left -= len(p)
}

// next begins a chunk of type 3.
func (c *chunker) next() {
	c.b.small = append(c.b.small, 3<<6|c.id)
	c.b.size++
	c.extend()
	c.left = chunkSize
}
