package rtspd

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

// TestMain fails if a server has left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	var b bytes.Buffer
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		b.Reset()
		_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
		if !strings.Contains(b.String(), "gortsplib") && !strings.Contains(b.String(), "rtspd.(*") {
			os.Exit(code)
		}
	}
	fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", b.String())
	os.Exit(1)
}

// site is a server with streams, and what became of its subscriptions.
type site struct {
	addr    string
	server  *Server
	streams map[string]*hub.Stream
	refuse  func(hub.Request) error
	kick    context.CancelCauseFunc // ends all subscriptions
	ended   chan error              // reasons of Subscription.Close
	stop    func() error            // ends the server
}

// serve runs a server for the length of the test and fails if it leaves a goroutine.
func serve(t *testing.T, cfg Config, streams ...*hub.Stream) *site {
	t.Helper()
	return serveBehind(t, cfg, nil, streams...)
}

// serveBehind is serve with a door: programs that connect see what was there
// before the server ran.
func serveBehind(t *testing.T, cfg Config, refuse func(hub.Request) error, streams ...*hub.Stream) *site {
	t.Helper()
	s := &site{streams: make(map[string]*hub.Stream), ended: make(chan error, 64), refuse: refuse}
	for _, st := range streams {
		s.streams[st.Name()] = st
	}
	subs, kick := context.WithCancelCause(context.Background())
	s.kick = kick
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	s.server = New(cfg, func(ctx context.Context, req hub.Request) (*hub.Subscription, error) {
		return s.open(subs, req)
	}, slog.New(slog.DiscardHandler))
	if err := s.server.Listen(); err != nil {
		t.Fatal(err)
	}
	s.addr = s.server.Addr().String()
	s.stop = mediatest.Serve(t, s.server.Run)
	return s
}

func (s *site) open(subs context.Context, req hub.Request) (*hub.Subscription, error) {
	if s.refuse != nil {
		if err := s.refuse(req); err != nil {
			return nil, err
		}
	}
	st := s.streams[req.Path]
	if st == nil {
		return nil, hub.ErrNotFound
	}
	return &hub.Subscription{Stream: st, Context: subs, Close: func(err error) { s.ended <- err }}, nil
}

func (s *site) url(path string) string { return "rtsp://" + s.addr + "/" + path }

// reason returns why the next subscription ended.
func (s *site) reason(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the subscription was not given back")
		return nil
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// camera publishes a clip by hand.
type camera struct {
	stream *hub.Stream
	clip   *mediatest.Clip
	packer *mediatest.Packetizer
	next   int
	wall   time.Time
}

func newCamera(t *testing.T, kind mediatest.Kind) *camera {
	t.Helper()
	c := &camera{stream: hub.NewStream("gate"), clip: mediatest.MakeClip(t, kind), wall: time.Now()}
	c.packer = mediatest.NewPacketizer(t, c.clip.Tracks)
	c.stream.SetTracks(append([]*media.Track(nil), c.clip.Tracks...))
	return c
}

// packets returns those of the next unit, as if it had come in time.
func (c *camera) packets(t *testing.T) media.Packets {
	t.Helper()
	u := c.clip.Unit(c.next)
	u.Wall = c.wall.Add(u.DTS)
	c.next++
	p, err := c.packer.Packets(u)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// publish appends n units as if they had come in time, and returns their packets.
func (c *camera) publish(t *testing.T, n int) []media.Packets {
	t.Helper()
	var all []media.Packets
	for range n {
		p := c.packets(t)
		c.stream.Packets.Append(p)
		all = append(all, p)
	}
	return all
}

// toKey publishes up to the next key frame, exclusively.
func (c *camera) toKey(t *testing.T) []media.Packets {
	t.Helper()
	var all []media.Packets
	for !c.clip.Unit(c.next).Key || c.clip.Unit(c.next).Track.Kind != media.KindVideo {
		all = append(all, c.publish(t, 1)...)
	}
	return all
}

// feed plays the clip in real time until the test ends.
func (c *camera) feed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := mediatest.Feed(ctx, c.stream, c.clip, c.packer, true); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// player is an RTSP client that does what it is told.
type player struct {
	t       *testing.T
	conn    net.Conn
	r       *bufio.Reader
	url     string
	seq     int
	session string
	header  map[string]string // sent with each request
}

func dial(t *testing.T, s *site, path string) *player {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &player{t: t, conn: conn, r: bufio.NewReaderSize(conn, 1<<16), url: s.url(path), header: map[string]string{}}
}

type response struct {
	status int
	phrase string
	header textproto.MIMEHeader
	body   string
}

func (p *player) send(method, url string, header ...string) {
	p.t.Helper()
	p.seq++
	var req strings.Builder
	fmt.Fprintf(&req, "%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, p.seq)
	if p.session != "" {
		req.WriteString("Session: " + p.session + "\r\n")
	}
	for k, v := range p.header {
		req.WriteString(k + ": " + v + "\r\n")
	}
	for _, h := range header {
		req.WriteString(h + "\r\n")
	}
	if _, err := io.WriteString(p.conn, req.String()+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}

// do sends a request and returns the response; interleaved frames before it are dropped.
func (p *player) do(method, url string, header ...string) response {
	p.t.Helper()
	p.send(method, url, header...)
	for {
		b, err := p.peek()
		if err != nil {
			p.t.Fatalf("no response to %s: %v", method, err)
		}
		if b != '$' {
			break
		}
		if _, err := p.frame(); err != nil {
			p.t.Fatal(err)
		}
	}
	tr := textproto.NewReader(p.r)
	line, err := tr.ReadLine()
	if err != nil {
		p.t.Fatal(err)
	}
	var res response
	if res.status, err = strconv.Atoi(strings.Fields(line)[1]); err != nil {
		p.t.Fatalf("bad status line %q", line)
	}
	res.phrase = strings.SplitN(line, " ", 3)[2]
	if res.header, err = tr.ReadMIMEHeader(); err != nil {
		p.t.Fatal(err)
	}
	n, _ := strconv.Atoi(res.header.Get("Content-Length"))
	body := make([]byte, n)
	if _, err := io.ReadFull(p.r, body); err != nil {
		p.t.Fatal(err)
	}
	res.body = string(body)
	return res
}

func (p *player) peek() (byte, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	b, err := p.r.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// want is do for a status.
func (p *player) want(status int, method, url string, header ...string) response {
	p.t.Helper()
	res := p.do(method, url, header...)
	if res.status != status {
		p.t.Fatalf("%s: status %d, want %d", method, res.status, status)
	}
	return res
}

// setup sets a track up with the given transport.
func (p *player) setup(track int, transport string) response {
	p.t.Helper()
	res := p.want(200, "SETUP", fmt.Sprintf("%s/trackID=%d", p.url, track), "Transport: "+transport)
	p.session, _, _ = strings.Cut(res.header.Get("Session"), ";")
	return res
}

// play does everything up to PLAY, over TCP on the default channels.
func (p *player) play(tracks int) {
	p.t.Helper()
	p.want(200, "DESCRIBE", p.url)
	for i := range tracks {
		p.setup(i, fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*i, 2*i+1))
	}
	p.want(200, "PLAY", p.url)
}

// frame returns the next interleaved frame, header included.
func (p *player) frame() ([]byte, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	var head [4]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return nil, err
	}
	if head[0] != '$' {
		return nil, fmt.Errorf("not a frame: %q", head)
	}
	b := make([]byte, 4+int(binary.BigEndian.Uint16(head[2:])))
	copy(b, head[:])
	_, err := io.ReadFull(p.r, b[4:])
	return b, err
}

// packet returns the next RTP packet as an interleaved frame.
func (p *player) packet() []byte {
	p.t.Helper()
	for {
		b, err := p.frame()
		if err != nil {
			p.t.Fatalf("no packet: %v", err)
		}
		if b[1]&1 == 0 {
			return b
		}
	}
}

// closed waits for the end of the connection.
func (p *player) closed() {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, p.r); errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatal("the connection was not closed")
	}
}
