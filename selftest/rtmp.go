package selftest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// rtmpSink is a server that takes what is published, and nothing else. It is not a
// part of what it tests, and shares nothing with it.
// Specification: Adobe's RTMP 1.0; AMF 0.
type rtmpSink struct {
	listener net.Listener
	got      func(nal []byte)
}

func listenRTMP(ctx context.Context, got func([]byte)) (*rtmpSink, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &rtmpSink{l, got}, nil
}

// run serves one connection after the other until ctx is done.
func (s *rtmpSink) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.listener.Close() })()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return err
		}
		if err := s.serve(ctx, conn); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
			return err
		}
	}
}

// publisher is one connection.
type publisher struct {
	in     *bufio.Reader
	out    io.Writer
	size   int // of the publisher's chunks
	opened map[uint32]*rtmpMessage
	got    func([]byte)
}

// rtmpMessage is one that is being put together.
type rtmpMessage struct {
	kind   byte
	length int
	long   bool // its time stamp takes four bytes more in every chunk
	body   []byte
}

func (s *rtmpSink) serve(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	var once sync.Once
	defer context.AfterFunc(ctx, func() { once.Do(func() { _ = conn.Close() }) })()
	p := &publisher{bufio.NewReaderSize(conn, 64<<10), conn, 128, make(map[uint32]*rtmpMessage), s.got}
	if err := conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	if err := p.greet(); err != nil {
		return err
	}
	for {
		if err := conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
			return err
		}
		if err := p.chunk(); err != nil {
			return err
		}
	}
}

// greet does the handshake (§5.2).
func (p *publisher) greet() error {
	const hello = 1536
	var c [1 + hello]byte
	if _, err := io.ReadFull(p.in, c[:]); err != nil {
		return err
	}
	s := make([]byte, 1+hello, 1+2*hello)
	s[0] = 3
	if _, err := p.out.Write(append(s, c[1:]...)); err != nil {
		return err
	}
	_, err := io.ReadFull(p.in, c[:hello])
	return err
}

const maxRTMP = 16 << 20

// chunk reads one chunk (§5.3.1).
func (p *publisher) chunk() error {
	first, err := p.in.ReadByte()
	if err != nil {
		return err
	}
	format, id := first>>6, uint32(first&63)
	if id < 2 {
		more, err := p.read(int(id) + 1)
		if err != nil {
			return err
		}
		id = 64 + uint32(more[0])
		if len(more) == 2 {
			id += uint32(more[1]) << 8
		}
	}
	m := p.opened[id]
	if m == nil {
		m = new(rtmpMessage)
		p.opened[id] = m
	}
	head, err := p.read([]int{11, 7, 3, 0}[format])
	if err != nil {
		return err
	}
	if format < 3 {
		m.long = head[0]&head[1]&head[2] == 0xff
	}
	if format < 2 {
		m.length, m.kind = int(head[3])<<16|int(head[4])<<8|int(head[5]), head[6]
		m.body = nil
	}
	if m.long {
		if _, err := p.read(4); err != nil {
			return err
		}
	}
	if m.length > maxRTMP {
		return errors.New("a message is too long")
	}
	part, err := p.read(min(p.size, m.length-len(m.body)))
	if err != nil {
		return err
	}
	if m.body = append(m.body, part...); len(m.body) < m.length {
		return nil
	}
	body := m.body
	m.body = nil
	return p.message(m.kind, body)
}

func (p *publisher) read(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(p.in, b)
	return b, err
}

// message acts on what is complete.
func (p *publisher) message(kind byte, body []byte) error {
	const chunkSize, video, command = 1, 9, 20
	switch kind {
	case chunkSize:
		if len(body) < 4 {
			return errors.New("a malformed message")
		}
		p.size = int(min(binary.BigEndian.Uint32(body), maxRTMP))
	case video:
		const avc, nalus = 7, 1
		if len(body) > 5 && body[0]&15 == avc && body[1] == nalus && !splitLengths(body[5:], p.got) {
			return errors.New("the lengths in a picture do not fit")
		}
	case command:
		return p.command(body)
	}
	return nil
}

// command answers what a publisher asks (§7.2).
func (p *publisher) command(body []byte) error {
	name, rest, ok := amfString(body)
	if !ok || len(rest) < 9 {
		return errors.New("a malformed command")
	}
	transaction := rest[:9] // a number
	null := []byte{5}
	switch name {
	case "connect":
		return p.answer("_result", transaction, null, amfStatus("NetConnection.Connect.Success"))
	case "createStream":
		return p.answer("_result", transaction, null, []byte{0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}) // 1
	case "publish":
		return p.answer("onStatus", make([]byte, 9), null, amfStatus("NetStream.Publish.Start"))
	case "releaseStream", "FCPublish":
		return p.answer("_result", transaction, null)
	case "FCUnpublish", "deleteStream", "closeStream":
		return io.EOF
	}
	return nil
}

// answer sends a command in one chunk: it is shorter than any chunk may be.
func (p *publisher) answer(name string, values ...[]byte) error {
	body := appendAMF([]byte{2}, name)
	for _, v := range values {
		body = append(body, v...)
	}
	head := []byte{3, 0, 0, 0, 0, 0, byte(len(body)), 20, 0, 0, 0, 0}
	if name == "onStatus" {
		head[8] = 1 // the stream
	}
	for at := 128; at < len(body); at += 129 { // chunks of 128 bytes
		body = append(body[:at], append([]byte{0xc3}, body[at:]...)...)
	}
	_, err := p.out.Write(append(head, body...))
	return err
}

// appendAMF appends a string without its marker.
func appendAMF(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// amfString reads a string with its marker.
func amfString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != 2 {
		return "", nil, false
	}
	n := 3 + int(binary.BigEndian.Uint16(b[1:]))
	if n > len(b) {
		return "", nil, false
	}
	return string(b[3:n]), b[n:], true
}

// amfStatus is an object that tells of a success.
func amfStatus(code string) []byte {
	b := appendAMF([]byte{3}, "level")
	b = appendAMF(append(b, 2), "status")
	b = appendAMF(b, "code")
	b = appendAMF(append(b, 2), code)
	return append(b, 0, 0, 9)
}
