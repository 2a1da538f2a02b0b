package camera

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"camrelay/media"
)

// Bounds of the keepalive period in seconds.
const (
	defaultSession = 60 // RFC 2326 §12.37
	maxKeepalive   = 25
)

// stub is the SDP that gortsplib gets to read: the true one is read line by
// line, a wrong line of which would make gortsplib refuse the camera.
const stub = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"

// request sees each request before it is sent.
func (x *session) request(req *base.Request) (err error) {
	defer media.Contain(&err)
	x.method = req.Method
	x.creds.sign(req)
	return nil
}

// answer sees each answer of the camera before gortsplib acts on it, and puts
// it in order.
func (x *session) answer(res *base.Response) (err error) {
	defer media.Contain(&err)
	x.creds.answered(res)
	if res.StatusCode != base.StatusOK {
		x.refused = x.method
	}
	switch {
	case x.tap.playing.Load():
	case res.StatusCode >= 300 && res.StatusCode < 400 && len(res.Header["Location"]) > 0:
		// gortsplib would follow for ever.
		x.location = res.Header["Location"][0]
		delete(res.Header, "Location")
	case x.method == base.Options:
		x.answerOptions(res)
	case x.method == base.Setup && res.StatusCode == base.StatusUnsupportedTransport:
		x.noTCP = !x.udp
	case res.StatusCode != base.StatusOK:
	case x.method == base.Describe:
		x.answerDescribe(res)
	case x.method == base.Setup:
		x.answerSetup(res)
	}
	x.answerSession(res)
	return nil
}

// answerOptions lets cameras go on that do not know OPTIONS.
func (x *session) answerOptions(res *base.Response) {
	switch res.StatusCode {
	case base.StatusUnauthorized, base.StatusForbidden, base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
	default:
		res.StatusCode = base.StatusOK
	}
	if p := res.Header["Public"]; len(p) > 1 {
		res.Header["Public"] = base.HeaderValue{strings.Join(p, ", ")}
	}
}

// answerDescribe keeps the SDP, and the URL that the camera's control
// attributes are relative to.
//
// Specification: RFC 2326 §C.1.1
func (x *session) answerDescribe(res *base.Response) {
	var control string
	control, x.sections = parseSDP(res.Body)
	x.base = x.target.url
	for _, candidate := range []string{first(res.Header["Content-Location"]), first(res.Header["Content-Base"]), control} {
		if u := x.local(candidate); u != nil {
			x.base = u
		}
	}
	res.Body = []byte(stub)
	res.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
	delete(res.Header, "Content-Base")
}

func first(v base.HeaderValue) string {
	if len(v) == 0 {
		return ""
	}
	return strings.TrimSpace(v[0])
}

// local returns the absolute URL or path that a camera names, on the host
// where it was found, whatever host it names: behind NAT, or with a wrong idea
// of themselves, they name others. It is nil for anything else.
func (x *session) local(raw string) *base.URL {
	if strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") {
		raw = x.target.url.Scheme + "://" + x.target.url.Host + raw
	}
	u, err := base.ParseURL(raw)
	if err != nil {
		return nil
	}
	u.Scheme, u.Host, u.User = x.target.url.Scheme, x.target.url.Host, nil
	return u
}

// answerSession keeps to the first session that the camera names, and writes
// its header so that gortsplib reads it.
func (x *session) answerSession(res *base.Response) {
	id := first(res.Header["Session"])
	if strings.Trim(id, "; ") == "" {
		delete(res.Header, "Session")
		return
	}
	if x.id == "" {
		x.id = keepalive(id, rand.Float64())
	}
	res.Header["Session"] = base.HeaderValue{x.id}
}

var sessionTimeout = regexp.MustCompile(`(?i);\s*timeout\s*=\s*(\d+)`)

// keepalive rewrites the Session header so that gortsplib, which sends a
// keepalive at 0.8 of the timeout, sends one after at most half of it and 25 s;
// random, from [0, 1), spreads the boxes of a site.
func keepalive(header string, random float64) string {
	timeout := defaultSession
	if m := sessionTimeout.FindStringSubmatch(header); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			timeout = n
		}
	}
	period := min(float64(timeout)/2, maxKeepalive) * (0.8 + 0.2*random)
	id, _, _ := strings.Cut(header, ";")
	return fmt.Sprintf("%s;timeout=%d", strings.TrimSpace(id), max(1, int(period/0.8)))
}

// answerSetup reads the Transport header as it is meant, and writes it as
// gortsplib wants it. Packets are taken from the camera's own address only,
// whatever source it names.
func (x *session) answerSetup(res *base.Response) {
	raw := strings.ToLower(strings.Join(res.Header["Transport"], ","))
	raw, _, _ = strings.Cut(raw, ",")
	interleaved, ok := pair(raw, "interleaved")
	if x.udp {
		if ok || strings.Contains(raw, "/tcp") {
			return // gortsplib says what is wrong
		}
		value := "RTP/AVP;unicast"
		if ports, ok := pair(raw, "server_port"); ok {
			value += fmt.Sprintf(";server_port=%d-%d", ports[0], ports[1])
		}
		res.Header["Transport"] = base.HeaderValue{value}
		return
	}
	wanted := [2]int{2 * x.setups, 2*x.setups + 1}
	if !ok {
		if !strings.Contains(raw, "/tcp") {
			x.noTCP = true
			return
		}
		interleaved = wanted
	}
	if interleaved[1] > 255 || !x.route.channels.assign(byte(interleaved[0]), byte(interleaved[1]), x.setups) {
		res.StatusCode = base.StatusBadRequest // two tracks on one channel cannot be told apart
		return
	}
	res.Header["Transport"] = base.HeaderValue{
		fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d", wanted[0], wanted[1]),
	}
}

// pair returns the two numbers of a transport parameter; where there is only
// one the second is the next.
func pair(transport, key string) (p [2]int, ok bool) {
	for f := range strings.SplitSeq(transport, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		if strings.TrimSpace(k) != key {
			continue
		}
		a, b, two := strings.Cut(v, "-")
		n, err := strconv.ParseUint(strings.TrimSpace(a), 10, 16)
		if err != nil {
			return p, false
		}
		p = [2]int{int(n), int(n) + 1}
		if n, err := strconv.ParseUint(strings.TrimSpace(b), 10, 16); two && err == nil && int(n) > p[0] {
			p[1] = int(n)
		}
		return p, true
	}
	return p, false
}

// explain returns the error as people read it, with its class and without
// secrets.
func (x *session) explain(err error) error {
	class, text := media.ClassOf(err), err.Error()
	if p, ok := errors.AsType[*media.PanicError](err); ok {
		p.Value = x.hide(fmt.Sprint(p.Value))
		return p
	}
	if status, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok {
		class, text = x.status(status)
	}
	text = x.hide(text)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return media.Fail(class, media.EndedBy(media.ErrPeerClosed, "the camera closed the connection ("+text+")"))
	}
	return media.Fail(class, errors.New(text))
}

// hide returns text without the password.
func (x *session) hide(text string) string {
	if p := x.target.password; p != "" {
		return strings.ReplaceAll(text, p, "***")
	}
	return text
}

// status says what an answer of the camera's means.
func (x *session) status(e liberrors.ErrClientBadStatusCode) (media.Class, string) {
	switch e.Code {
	case base.StatusUnauthorized:
		if x.target.user == "" {
			return media.ClassCredentials, "the camera asks for a user name and password (401)"
		}
		return media.ClassCredentials, "the camera refuses the user name or password (401)"
	case base.StatusForbidden:
		return media.ClassCredentials, "the camera forbids this user the stream (403)"
	case base.StatusNotFound:
		return media.ClassRefused, "the camera has no stream of this path (404)"
	case base.StatusNotEnoughBandwidth:
		return media.ClassBusy, "the camera has no session left (453)"
	case base.StatusSessionNotFound:
		return media.ClassNetwork, "the camera has lost the session (454)"
	case base.StatusUnsupportedTransport:
		return media.ClassUnsupported, "the camera refuses this transport (461)"
	case base.StatusServiceUnavailable:
		return media.ClassBusy, "the camera is busy (503)"
	}
	return media.ClassNetwork, fmt.Sprintf("the camera answers %d to %s", e.Code, x.refused)
}
