package rtmp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"camrelay/media/flv"
)

// received is one message as a server sees it.
type received struct {
	kind   byte
	ts     uint32
	stream uint32
	body   []byte
}

// name returns the command's name, empty for other messages.
func (r received) name() string {
	if r.kind != typeCommand {
		return ""
	}
	vs, _ := flv.ParseScript(r.body)
	if len(vs) == 0 {
		return ""
	}
	s, _ := vs[0].(string)
	return s
}

// wire reads messages from a publisher, written from the specification and
// without the bounds of chunkReader.
type wire struct {
	foreign bool // takes chunk headers that we never write
	r       *bufio.Reader
	size    int
	streams map[byte]*received
	lengths map[byte]int
	wide    map[byte]bool

	read, acked, window int // bytes
}

// due tells whether an acknowledgement is.
func (w *wire) due() bool {
	if w.window == 0 || w.read-w.acked < w.window {
		return false
	}
	w.acked = w.read
	return true
}

func newWire(r io.Reader) *wire {
	return &wire{
		r: bufio.NewReaderSize(r, 64<<10), size: 128,
		streams: make(map[byte]*received), lengths: make(map[byte]int), wide: make(map[byte]bool),
	}
}

func (w *wire) take(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(w.r, b)
	w.read += n
	return b, err
}

// head reads the message header of a chunk.
func (w *wire) head(format, id byte) error {
	old := w.streams[id]
	complete := old == nil || len(old.body) == w.lengths[id]
	if format == 3 && !complete {
		return nil
	}
	if !complete {
		return errors.New("a message begins inside another")
	}
	h, err := w.take([]int{11, 7, 3, 0}[format])
	if err != nil {
		return err
	}
	m := &received{}
	if old != nil {
		m.kind, m.stream = old.kind, old.stream
	}
	if format <= 2 {
		w.wide[id], m.ts = uint24(h) == noTimestamp, uint32(uint24(h)) // a delta in 1 and 2: nobody looks at it
	}
	if format <= 1 {
		w.lengths[id], m.kind = uint24(h[3:]), h[6]
	}
	if format == 0 {
		m.stream = binary.LittleEndian.Uint32(h[7:])
	}
	w.streams[id] = m
	return nil
}

func (w *wire) next() (received, error) {
	for {
		first, err := w.r.ReadByte()
		if err != nil {
			return received{}, err
		}
		format, id := first>>6, first&0x3f
		if id < 2 || format != 0 && format != 3 && !w.foreign {
			return received{}, errors.New("a chunk header that we never write")
		}
		if err := w.head(format, id); err != nil {
			return received{}, err
		}
		m := w.streams[id]
		if w.wide[id] {
			x, err := w.take(4)
			if err != nil {
				return received{}, err
			}
			m.ts = binary.BigEndian.Uint32(x)
		}
		part, err := w.take(min(w.size, w.lengths[id]-len(m.body)))
		if err != nil {
			return received{}, err
		}
		m.body = append(m.body, part...)
		if len(m.body) < w.lengths[id] {
			continue
		}
		switch m.kind {
		case typeChunkSize:
			w.size = int(binary.BigEndian.Uint32(m.body))
		case typeWindow:
			w.window = int(binary.BigEndian.Uint32(m.body))
		}
		return *m, nil
	}
}

// peer is the server's side of one connection. It acknowledges as it is asked to.
type peer struct {
	net.Conn
	*wire
	over <-chan struct{} // closed when the test ends
}

func (p peer) next() (received, error) {
	m, err := p.wire.next()
	if err == nil && p.due() {
		body := binary.BigEndian.AppendUint32(nil, uint32(p.read))
		_, err = p.Write(appendMessage(nil, streamControl, defaultChunkSize, message{kind: typeAck, body: body}))
	}
	return m, err
}

// say writes a command.
func (p peer) say(stream uint32, values ...any) error {
	m := message{kind: typeCommand, stream: stream, body: flv.AppendScript(nil, values...)}
	_, err := p.Write(appendMessage(nil, streamCommand, defaultChunkSize, m))
	return err
}

// greet does the handshake.
func (p peer) greet() error {
	c, err := p.take(1 + 1536)
	if err != nil {
		return err
	}
	s1 := append([]byte{rtmpVersion}, make([]byte, 1536)...)
	if _, err := p.Write(append(s1, c[1:]...)); err != nil {
		return err
	}
	_, err = p.take(1536)
	return err
}

// await reads up to the command of that name.
func (p peer) await(name string) (received, error) {
	for {
		m, err := p.next()
		if err != nil || m.name() == name {
			return m, err
		}
	}
}

func info(level, code, description string) flv.Object {
	return flv.Object{
		{Name: "level", Value: level}, {Name: "code", Value: code}, {Name: "description", Value: description},
	}
}

// accept does everything up to the publication, as servers do it.
func (p peer) accept() error {
	if _, err := p.connect(); err != nil {
		return err
	}
	return p.welcome(nil)
}

// connect greets and returns the command object of connect.
func (p peer) connect() (flv.Object, error) {
	if err := p.greet(); err != nil {
		return nil, err
	}
	m, err := p.await("connect")
	if err != nil {
		return nil, err
	}
	vs, err := flv.ParseScript(m.body)
	if err != nil || len(vs) < 3 {
		return nil, errors.Join(errors.New("connect says little"), err)
	}
	o, _ := vs[2].(flv.Object)
	return o, nil
}

// welcome accepts everything behind connect, with these properties in the answer.
func (p peer) welcome(extra flv.Object) error {
	if err := p.say(0, "_result", 1.0, flv.Object{{Name: "fmsVer", Value: "FMS/3,5"}},
		append(info("status", "NetConnection.Connect.Success", ""), extra...)); err != nil {
		return err
	}
	m, err := p.await("createStream")
	if err != nil {
		return err
	}
	vs, _ := flv.ParseScript(m.body)
	if err := p.say(0, "_result", vs[1], nil, 1.0); err != nil {
		return err
	}
	if _, err := p.await("publish"); err != nil {
		return err
	}
	return p.say(1, "onStatus", 0.0, nil, info("status", "NetStream.Publish.Start", ""))
}

// serve runs script for each connection, one after the other, and returns the
// address. It ends with the test.
func serve(t testing.TB, script func(peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			script(peer{c, newWire(c), over})
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { close(over); _ = ln.Close(); <-done })
	return ln.Addr().String()
}
