package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rtspViewer plays a stream over one TCP connection and throws it away: cheap
// enough for hundreds, and it can be cut off or send what no player would.
type rtspViewer struct {
	conn  net.Conn
	r     *bufio.Reader
	seq   int
	bytes atomic.Uint64 // of RTP with its headers, over all tracks
	ended chan struct{}
}

// playRTSP begins to play. Whoever calls it closes the connection.
func playRTSP(url string) (*rtspViewer, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "rtsp://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	v := &rtspViewer{conn: conn, r: bufio.NewReaderSize(conn, 64<<10), ended: make(chan struct{})}
	if err := v.begin(url); err != nil {
		conn.Close()
		return nil, err
	}
	go func() {
		defer close(v.ended)
		v.drain()
	}()
	return v, nil
}

// begin asks for all tracks, interleaved.
func (v *rtspViewer) begin(url string) error {
	_ = v.conn.SetDeadline(time.Now().Add(20 * time.Second)) // it fails with the next read
	header, sdp, err := v.ask("DESCRIBE", url, "Accept: application/sdp")
	if err != nil {
		return err
	}
	base := strings.TrimRight(header.Get("Content-Base"), "/") + "/"
	session, track := "", 0
	media := false
	for line := range lines(sdp) {
		media = media || strings.HasPrefix(line, "m=")
		control, ok := strings.CutPrefix(line, "a=control:")
		if !ok || !media {
			continue
		}
		if !strings.HasPrefix(control, "rtsp://") {
			control = base + control
		}
		extra := []string{fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*track, 2*track+1)}
		if session != "" {
			extra = append(extra, "Session: "+session)
		}
		h, _, err := v.ask("SETUP", control, extra...)
		if err != nil {
			return err
		}
		session, _, _ = strings.Cut(h.Get("Session"), ";")
		track++
	}
	if _, _, err := v.ask("PLAY", base, "Session: "+session); err != nil {
		return err
	}
	return v.conn.SetDeadline(time.Time{})
}

// ask sends a request and returns the answer's header and body.
func (v *rtspViewer) ask(method, url string, header ...string) (textproto.MIMEHeader, string, error) {
	v.seq++
	text := []string{fmt.Sprintf("%s %s RTSP/1.0", method, url), fmt.Sprintf("CSeq: %d", v.seq)}
	text = append(append(text, header...), "", "")
	if _, err := io.WriteString(v.conn, strings.Join(text, "\r\n")); err != nil {
		return nil, "", err
	}
	for {
		if b, err := v.r.Peek(1); err != nil {
			return nil, "", err
		} else if b[0] != '$' {
			break
		}
		if _, err := v.frame(); err != nil {
			return nil, "", err
		}
	}
	tp := textproto.NewReader(v.r)
	status, err := tp.ReadLine()
	if err != nil {
		return nil, "", err
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, "", err
	}
	length, _ := strconv.Atoi(h.Get("Content-Length")) // none: no body
	body := make([]byte, length)
	if _, err := io.ReadFull(v.r, body); err != nil {
		return nil, "", err
	}
	if !strings.Contains(status, " 200 ") {
		return nil, "", fmt.Errorf("%s: %s", method, status)
	}
	return h, string(body), nil
}

// frame skips one interleaved frame and returns the length of its payload.
func (v *rtspViewer) frame() (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(v.r, head[:]); err != nil {
		return 0, err
	}
	if head[0] != '$' {
		return 0, errors.New("no frame")
	}
	n := int(binary.BigEndian.Uint16(head[2:]))
	if head[1]%2 == 0 {
		v.bytes.Add(uint64(n))
	}
	return v.r.Discard(n)
}

func (v *rtspViewer) drain() {
	for {
		if _, err := v.frame(); err != nil {
			return
		}
	}
}

// remote is the address by which the daemon knows the viewer.
func (v *rtspViewer) remote() string { return v.conn.LocalAddr().String() }

// cut closes the connection without a word, like a player that crashes.
func (v *rtspViewer) cut() {
	if tcp, ok := v.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // then it is closed the polite way
	}
	v.conn.Close()
	<-v.ended
}

// viewer plays a camera until the test ends.
func (b *box) viewer(t testing.TB, camera string) *rtspViewer {
	t.Helper()
	v, err := playRTSP(b.rtsp(camera))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.cut)
	return v
}

// hasEnded fails the test unless the viewer is sent away within the limit.
func (v *rtspViewer) hasEnded(t testing.TB, limit time.Duration) {
	t.Helper()
	select {
	case <-v.ended:
	case <-time.After(limit):
		t.Errorf("a viewer still watches after %v", limit)
	}
}

// watches fails the test if the viewer gets nothing any more.
func (v *rtspViewer) watches(t testing.TB) {
	t.Helper()
	before := v.bytes.Load()
	eventually(t, time.Minute, "the viewer gets more", func() error {
		if v.bytes.Load() == before {
			return errors.New("nothing")
		}
		return nil
	})
}

// sockets returns the connections of this host, other than those that only
// linger, that have the address at either end. File: /proc/net/tcp.
func sockets(t testing.TB, address string) (all []string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	const timeWait = "06"
	end := fmt.Sprintf("0100007F:%04X", n)
	for line := range lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && (f[1] == end || f[2] == end) && f[3] != timeWait {
			all = append(all, line)
		}
	}
	return all
}

// muffler stands between the daemon and a camera, and can hold back the media
// alone: reports, answers and the connection go on.
type muffler struct {
	addr    string
	camera  string
	muted   atomic.Bool
	reports atomic.Uint64 // RTCP that went by

	wg sync.WaitGroup
}

func startMuffler(t testing.TB, camera string) *muffler {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &muffler{addr: ln.Addr().String(), camera: camera}
	m.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			m.wg.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		m.wg.Wait()
	})
	return m
}

func (m *muffler) serve(client net.Conn) {
	defer client.Close()
	camera, err := net.Dial("tcp", m.camera)
	if err != nil {
		return
	}
	defer camera.Close()
	m.wg.Go(func() {
		_, _ = io.Copy(camera, client) // either end may close
		camera.Close()
	})
	r := bufio.NewReaderSize(camera, 64<<10)
	for {
		b, err := r.Peek(4)
		if err != nil {
			return
		}
		var n int
		if b[0] == '$' {
			n = 4 + int(binary.BigEndian.Uint16(b[2:]))
		} else if i := strings.IndexByte(string(peekAll(r)), '$'); i > 0 {
			n = i
		} else {
			n = r.Buffered()
		}
		media := b[0] == '$' && b[1]%2 == 0
		if b[0] == '$' && !media {
			m.reports.Add(1)
		}
		if media && m.muted.Load() {
			_, err = r.Discard(n)
		} else {
			_, err = io.CopyN(client, r, int64(n))
		}
		if err != nil {
			return
		}
	}
}

// peekAll returns what is buffered.
func peekAll(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered()) // no more than there is
	return b
}
