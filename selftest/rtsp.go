package selftest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ioTimeout bounds how long one answer, or the next frame, may take.
const ioTimeout = 10 * time.Second

// rtspReader is a viewer that plays the picture of one stream by TCP, without a
// password. It is not a part of what it tests.
// Specification: RFC 2326, RFC 6184.
type rtspReader struct {
	conn net.Conn
	in   *bufio.Reader
	url  string
	seq  int
	nal  []byte // that is being put together
	got  func(nal []byte)
}

// playRTSP hands every NAL unit of a stream's picture to got until ctx is done or
// the server ends it.
func playRTSP(ctx context.Context, address string, got func([]byte)) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("malformed URL")
	}
	d := net.Dialer{Timeout: ioTimeout}
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Not by a deadline: the next frame sets another.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r := &rtspReader{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), url: address, got: got}
	if err := r.begin(); err != nil {
		return err
	}
	for {
		if err := r.frame(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}

// begin asks for the first picture of the description.
func (r *rtspReader) begin() error {
	_, body, err := r.ask("DESCRIBE", r.url, "Accept: application/sdp\r\n")
	if err != nil {
		return err
	}
	control := videoControl(string(body))
	if control == "" {
		return errors.New("the stream has no picture")
	}
	if !strings.HasPrefix(control, "rtsp://") {
		control = strings.TrimSuffix(r.url, "/") + "/" + control
	}
	head, _, err := r.ask("SETUP", control, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
	if err != nil {
		return err
	}
	session, _, _ := strings.Cut(head.Get("Session"), ";")
	_, _, err = r.ask("PLAY", r.url, "Session: "+session+"\r\n")
	return err
}

// videoControl returns the control attribute of the first m=video section.
func videoControl(sdp string) string {
	video := false
	for line := range strings.Lines(sdp) {
		line = strings.TrimSpace(line)
		if kind, ok := strings.CutPrefix(line, "m="); ok {
			video = strings.HasPrefix(kind, "video")
		}
		if control, ok := strings.CutPrefix(line, "a=control:"); ok && video {
			return control
		}
	}
	return ""
}

const maxBody = 64 << 10

// ask sends a request and returns the answer, which is a success.
func (r *rtspReader) ask(method, uri, headers string) (textproto.MIMEHeader, []byte, error) {
	r.seq++
	if err := r.conn.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Fprintf(r.conn, "%s %s RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: camrelay selftest\r\n%s\r\n",
		method, uri, r.seq, headers); err != nil {
		return nil, nil, err
	}
	text := textproto.NewReader(r.in)
	line, err := text.ReadLine()
	if err != nil {
		return nil, nil, err
	}
	if words := strings.SplitN(line, " ", 3); len(words) < 3 || words[1] != "200" {
		return nil, nil, fmt.Errorf("%s is answered by %q", method, line)
	}
	head, err := text.ReadMIMEHeader()
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.Atoi(head.Get("Content-Length"))
	if err != nil {
		return head, nil, nil
	}
	if n < 0 || n > maxBody {
		return nil, nil, errors.New("the answer is too long")
	}
	body := make([]byte, n)
	_, err = io.ReadFull(r.in, body)
	return head, body, err
}

// frame reads one interleaved frame (RFC 2326 §10.12).
func (r *rtspReader) frame() error {
	if err := r.conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	head, err := r.in.Peek(4)
	if err != nil {
		return err
	}
	if head[0] != '$' {
		return errors.New("the server speaks out of turn")
	}
	channel, n := head[1], int(head[2])<<8|int(head[3])
	packet := make([]byte, 4+n)
	if _, err := io.ReadFull(r.in, packet); err != nil {
		return err
	}
	if channel == 0 {
		r.packet(packet[4:])
	}
	return nil
}

// packet takes an RTP packet: single NAL units, STAP-A and FU-A.
func (r *rtspReader) packet(b []byte) {
	if len(b) < 12 {
		return
	}
	skip := 12 + 4*int(b[0]&15)
	if b[0]&0x10 != 0 && len(b) >= skip+4 {
		skip += 4 + 4*(int(b[skip+2])<<8|int(b[skip+3]))
	}
	if len(b) < skip+2 {
		return
	}
	b = b[skip:]
	const stapA, fuA = 24, 28
	switch b[0] & 0x1f {
	case stapA:
		for b = b[1:]; len(b) > 2; {
			n := int(b[0])<<8 | int(b[1])
			if n > len(b)-2 {
				return
			}
			r.got(b[2 : 2+n])
			b = b[2+n:]
		}
	case fuA:
		if b[1]&0x80 != 0 {
			r.nal = append(r.nal[:0], b[0]&0xe0|b[1]&0x1f)
		}
		if len(r.nal) == 0 {
			return // its beginning is lost
		}
		r.nal = append(r.nal, b[2:]...)
		if b[1]&0x40 != 0 {
			r.got(r.nal)
			r.nal = r.nal[:0]
		}
	default:
		r.got(b)
	}
}
