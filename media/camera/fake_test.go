package camera

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// Bitstream of the scripted camera.
var (
	sps = []byte{
		0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42,
		0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08,
	}
	pps = []byte{0x68, 0xee, 0x3c, 0x80}
	idr = []byte{0x65, 0x88, 0x84, 0x00}
	non = []byte{0x41, 0x9a, 0x02, 0x05}
)

const sdpH264 = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" +
	"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n" +
	"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z2QADKw7ULBLQgAAAwACAAADAD0I,aO48gA==\r\n"

// rtpPacket returns an RTP packet of payload type 96.
func rtpPacket(seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := []byte{0x80, 96}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, payload...)
}

// wire returns an interleaved frame.
func wire(channel int, packet []byte) []byte { return media.AppendWire(nil, channel, packet) }

// asked is a request that the scripted camera got.
type asked struct {
	method, url string
	head        []byte
}

func (a asked) field(name string) string { v, _ := field(a.head, name); return v }

// fake is a scripted camera. Where answers has nothing for a method it answers
// as a sound one does, and after PLAY calls play.
type fake struct {
	tb      testing.TB
	ln      net.Listener
	answers map[string]func(c *fakeConn, r asked)
	play    func(c *fakeConn)
	sdp     string

	mu    sync.Mutex // guards what follows
	all   []asked
	conns int
	seen  chan struct{} // closed and replaced with each request
	wg    sync.WaitGroup
}

// fakeConn is one connection of the scripted camera.
type fakeConn struct {
	net.Conn
	f    *fake
	n    int // of the connection, from 1
	vars map[string]string
}

func newFake(tb testing.TB) *fake {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &fake{
		tb: tb, ln: ln, sdp: sdpH264, answers: make(map[string]func(*fakeConn, asked)), seen: make(chan struct{}),
		play: func(*fakeConn) {},
	}
	f.wg.Go(f.accept)
	tb.Cleanup(func() {
		ln.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fake) url() string { return "rtsp://" + f.ln.Addr().String() + "/live" }

func (f *fake) accept() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns++
		fc := &fakeConn{Conn: c, f: f, n: f.conns, vars: make(map[string]string)}
		f.mu.Unlock()
		f.wg.Go(fc.serve)
	}
}

// serve reads requests until the client goes.
func (c *fakeConn) serve() {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		b, err := br.Peek(1)
		if err != nil {
			return
		}
		if b[0] == '$' {
			var h [4]byte
			io.ReadFull(br, h[:])
			if _, err := br.Discard(int(binary.BigEndian.Uint16(h[2:]))); err != nil {
				return
			}
			continue
		}
		var head []byte
		for !bytes.HasSuffix(head, headEnd) {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			head = append(head, line...)
		}
		if bytes.HasPrefix(head, []byte("RTSP/")) { // an answer to what the camera asked
			c.f.note(asked{method: "answer", url: string(head), head: head})
			continue
		}
		parts := strings.Fields(string(head[:bytes.IndexByte(head, '\r')]))
		c.answer(asked{method: parts[0], url: parts[1], head: head})
	}
}

func (f *fake) note(r asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, r)
	close(f.seen)
	f.seen = make(chan struct{})
}

func (c *fakeConn) answer(r asked) {
	c.f.note(r)
	if do := c.f.answers[r.method]; do != nil {
		do(c, r)
		return
	}
	c.sound(r)
}

// sound answers as a camera without quirks does.
func (c *fakeConn) sound(r asked) {
	switch r.method {
	case "OPTIONS":
		c.reply(r, "200 OK", "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN", "")
	case "DESCRIBE":
		c.reply(r, "200 OK", "Content-Type: application/sdp\r\nContent-Base: "+r.url+"/", c.f.sdp)
	case "SETUP":
		c.reply(r, "200 OK", "Session: 4711;timeout=60\r\nTransport: "+r.field("Transport"), "")
	case "PLAY":
		c.reply(r, "200 OK", "Session: 4711", "")
		c.f.wg.Go(func() { c.f.play(c) })
	default:
		c.reply(r, "200 OK", "Session: 4711", "")
	}
}

func (c *fakeConn) reply(r asked, status, header, body string) {
	msg := "RTSP/1.0 " + status + "\r\nCSeq: " + r.field("CSeq") + "\r\n"
	if header != "" {
		msg += header + "\r\n"
	}
	if body != "" {
		msg += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	io.WriteString(c, msg+"\r\n"+body)
}

// stream sends a picture every 10 ms on channel 0, an IDR each tenth, until
// the connection ends or n are sent.
func (c *fakeConn) stream(n int, seq uint16, ts, ssrc uint32) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		nal := non
		if i%10 == 0 {
			nal = idr
		}
		if _, err := c.Write(wire(0, rtpPacket(seq+uint16(i), ts+uint32(i)*900, ssrc, nal))); err != nil {
			return
		}
		<-tick.C
	}
}

// wait waits until cond holds for the requests so far.
func (f *fake) wait(what string, cond func(all []asked) bool) {
	f.tb.Helper()
	deadline := time.After(10 * time.Second)
	for {
		f.mu.Lock()
		ok, seen := cond(f.all), f.seen
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-seen:
		case <-deadline:
			f.tb.Fatalf("the camera never saw %s", what)
		}
	}
}

func (f *fake) count(method string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.all {
		if r.method == method {
			n++
		}
	}
	return n
}

// has returns a condition for wait.
func has(method string) func([]asked) bool {
	return func(all []asked) bool {
		for _, r := range all {
			if r.method == method {
				return true
			}
		}
		return false
	}
}

const (
	testUser     = "admin"
	testPassword = "p@ss:w/rd#%^"
)

// noSecret fails if text names the password in any form.
func noSecret(tb testing.TB, text string) {
	tb.Helper()
	for _, s := range []string{testPassword, "p@ss", "p%40ss", testUser + ":"} {
		if strings.Contains(text, s) {
			tb.Errorf("a secret shows in %q", text)
		}
	}
}

// puller runs sessions of one camera.
type puller struct {
	tb     testing.TB
	spec   Spec
	splice *Splice
	stream *hub.Stream
	log    *mediatest.Log
}

func newPuller(tb testing.TB, url string) *puller {
	return &puller{
		tb: tb, spec: Spec{URL: url, MediaTimeout: 5 * time.Second}, splice: NewSplice(),
		stream: hub.NewStream("gate"), log: new(mediatest.Log),
	}
}

// run runs one session to its end and returns why it ended.
func (p *puller) run(ctx context.Context) error {
	p.tb.Helper()
	err := Run(ctx, p.spec, p.splice, p.stream, func() {}, slog.New(slog.NewTextHandler(p.log, nil)))
	if err == nil {
		p.tb.Fatal("a session ended without a reason")
	}
	noSecret(p.tb, err.Error())
	noSecret(p.tb, p.log.String())
	return err
}

// start runs a session until the returned function is called.
func (p *puller) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case err = <-ended:
			case <-time.After(10 * time.Second):
				p.tb.Error("the session does not end")
			}
		})
		return err
	}
	p.tb.Cleanup(func() { stop() })
	return stop
}

// entries reads n packets' worth of entries from the log.
func (p *puller) entries(r *hub.Reader[media.Packets], n int) (all []media.Packets) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for got := 0; got < n; {
		e, _, err := r.Next(ctx)
		if err != nil {
			p.tb.Fatalf("%d of %d packets came: %v", got, n, err)
		}
		all = append(all, e)
		got += e.N
	}
	return all
}

// text shows an entry: its track, K for Key, G for Gap, number of packets.
func text(e media.Packets) string {
	s := strconv.Itoa(e.Track.ID)
	if e.Key {
		s += "K"
	}
	if e.Gap {
		s += "G"
	}
	return s + strconv.Itoa(e.N)
}

func texts(all []media.Packets) string {
	var s []string
	for _, e := range all {
		s = append(s, text(e))
	}
	return strings.Join(s, " ")
}

func wantClass(tb testing.TB, err error, class media.Class, words string) {
	tb.Helper()
	if media.ClassOf(err) != class || !strings.Contains(err.Error(), words) {
		tb.Errorf("ended by %q of class %s, want %q of class %s", err, media.ClassOf(err), words, class)
	}
}
