package rtspd

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"camrelay/media/hub"
	"camrelay/media/mediatest"
)

// alicesPassword holds what quoting and splitting get wrong.
const alicesPassword = "won:der land"

// responseTo is the answer to a challenge (RFC 7616 §3.4.1, without qop).
func responseTo(password string, d hub.Digest) string {
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	if d.SHA256 {
		sum = func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	}
	return sum(sum("alice:camrelay:"+password) + ":" + d.Nonce + ":" + sum(d.Method+":"+d.URI))
}

// door lets alice in, and notes by what she came.
type door struct {
	mu  sync.Mutex // guards by
	by  string
	may func() (digest, basic bool)
}

func (d *door) refuse(r hub.Request) error {
	var by string
	switch {
	case r.User != "alice":
		return hub.ErrDenied
	case r.Digest == nil && r.Password == alicesPassword:
		by = "basic"
	case r.Digest == nil || responseTo(alicesPassword, *r.Digest) != r.Digest.Response:
		return hub.ErrDenied
	case r.Digest.SHA256:
		by = "SHA-256"
	default:
		by = "MD5"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.by = by
	return nil
}

func (d *door) came() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.by
}

// guarded is a server with alice's door, whose camera plays.
func guarded(t *testing.T, digest, basic bool) (*site, *door) {
	t.Helper()
	d := &door{may: func() (bool, bool) { return digest, basic }}
	cam := newCamera(t, mediatest.H264)
	cam.feed(t)
	return serveBehind(t, Config{Schemes: d.may}, d.refuse, cam.stream), d
}

// TestPlayersShowWhoTheyAre by what each of them knows of what is offered.
func TestPlayersShowWhoTheyAre(t *testing.T) {
	players := []struct {
		name   string
		digest string // that it knows best
		play   func(t *testing.T, s *site, password string) error
	}{
		{"ffprobe", "MD5", func(t *testing.T, s *site, password string) error {
			t.Helper()
			user := "rtsp://alice:" + strings.NewReplacer(":", "%3A", " ", "%20").Replace(password) + "@"
			url := strings.Replace(s.url("gate"), "rtsp://", user, 1)
			return exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-rtsp_transport", "tcp", url).Run()
		}},
		{"GStreamer", "MD5", func(t *testing.T, s *site, password string) error {
			t.Helper()
			return exec.CommandContext(t.Context(), "gst-launch-1.0", "-q", "rtspsrc", "location="+s.url("gate"),
				"user-id=alice", "user-pw="+password, "protocols=tcp", "!", "rtph264depay", "!", "identity", "eos-after=3",
				"!", "fakesink").Run()
		}},
		{"gortsplib", "SHA-256", func(t *testing.T, s *site, password string) error {
			t.Helper()
			url := strings.NewReplacer(":", "%3A", " ", "%20").Replace(password)
			u, err := base.ParseURL(strings.Replace(s.url("gate"), "rtsp://", "rtsp://alice:"+url+"@", 1))
			if err != nil {
				t.Fatal(err)
			}
			c := gortsplib.Client{Scheme: u.Scheme, Host: u.Host}
			if err := c.Start2(); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _, err = c.Describe(u)
			return err
		}},
	}
	for _, offered := range []struct {
		name          string
		digest, basic bool
	}{{"both", true, true}, {"digest", true, false}, {"basic", false, true}} {
		for _, p := range players {
			t.Run(offered.name+", "+p.name, func(t *testing.T) {
				t.Parallel()
				s, d := guarded(t, offered.digest, offered.basic)
				if err := p.play(t, s, "rabbit"); err == nil || d.came() != "" {
					t.Errorf("a wrong password: came in by %q, %v", d.came(), err)
				}
				want := p.digest
				if !offered.digest {
					want = "basic"
				}
				if err := p.play(t, s, alicesPassword); d.came() != want {
					t.Errorf("came in by %q, want %q: %v", d.came(), want, err)
				}
			})
		}
	}
}

// asked describes the stream with a digest and returns the status, and the
// challenge that comes with a refusal.
func (p *player) asked(d hub.Digest, password, user string) (status int, nonce string, stale bool) {
	p.t.Helper()
	var header []string
	if d.Nonce != "" {
		header = []string{fmt.Sprintf(`Authorization: Digest username="%s", realm="camrelay", nonce="%s", uri="%s", `+
			`response="%s"`, user, d.Nonce, d.URI, responseTo(password, d))}
	}
	res := p.do("DESCRIBE", p.url, header...)
	for _, c := range res.header.Values("WWW-Authenticate") {
		if _, rest, ok := strings.Cut(c, `nonce="`); ok {
			nonce, _, _ = strings.Cut(rest, `"`)
			stale = strings.Contains(c, "stale=true")
		}
	}
	return res.status, nonce, stale
}

// TestChallengesAreForOneConnection plays an answer again elsewhere.
func TestChallengesAreForOneConnection(t *testing.T) {
	s, _ := guarded(t, true, false)
	one, other := dial(t, s, "gate"), dial(t, s, "gate")
	status, nonce, stale := one.asked(hub.Digest{}, "", "")
	if status != 401 || nonce == "" || stale {
		t.Fatalf("first: status %d, nonce %q, stale %v", status, nonce, stale)
	}
	right := hub.Digest{Method: "DESCRIBE", URI: one.url, Nonce: nonce}
	if status, again, stale := other.asked(right, alicesPassword, "alice"); status != 401 || !stale || again == nonce {
		t.Errorf("on another connection: status %d, stale %v", status, stale)
	}
	if status, _, stale := one.asked(right, "rabbit", "alice"); status != 401 || stale {
		t.Errorf("a wrong password: status %d, stale %v", status, stale)
	}
	elsewhere := right
	elsewhere.URI = s.url("yard")
	if status, _, _ := one.asked(elsewhere, alicesPassword, "alice"); status != 401 {
		t.Errorf("for another stream: status %d", status)
	}
	if status, _, _ := one.asked(right, alicesPassword, "alice"); status != 200 {
		t.Errorf("the right answer: status %d", status)
	}
}

// TestBasicIsNotTakenUnasked: with digest alone nobody can be made to show a password.
func TestBasicIsNotTakenUnasked(t *testing.T) {
	s, d := guarded(t, true, false)
	p := dial(t, s, "gate")
	res := p.do("DESCRIBE", p.url, "Authorization: Basic YWxpY2U6d29uOmRlciBsYW5k")
	if offered := strings.Join(res.header.Values("WWW-Authenticate"), ", "); res.status != 401 || d.came() != "" ||
		strings.Contains(offered, "Basic") || strings.Index(offered, "SHA-256") > strings.Index(offered, "=MD5") {
		t.Errorf("status %d, offered %s", res.status, offered)
	}
}

// TestChallengesGrowOld: they can be answered for five minutes.
func TestChallengesGrowOld(t *testing.T) {
	u, err := base.ParseURL("rtsp://box/gate")
	if err != nil {
		t.Fatal(err)
	}
	var ch challenge
	start := time.Now()
	ch.ask(true, true, start)
	first := ch.nonce
	req := &base.Request{Method: base.Describe, URL: u, Header: base.Header{"Authorization": base.HeaderValue{
		`Digest username="alice", realm="camrelay", nonce="` + first + `", uri="rtsp://box/gate", response="00"`,
	}}}
	for after, want := range map[time.Duration]bool{0: true, nonceLife: true, nonceLife + time.Second: false} {
		var r hub.Request
		ch.show(&r, req, true, true, start.Add(after))
		if (r.Digest != nil) != want || ch.stale == want {
			t.Errorf("after %v: %+v, stale %v", after, r.Digest, ch.stale)
		}
	}
	if ch.ask(true, true, start.Add(nonceLife)); ch.nonce == first {
		t.Error("the same challenge again")
	}
}

// FuzzAuthorization reads what a client shows: only what is offered, whole and
// bounded by what was sent.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"Basic YWxpY2U6czNjcmV0", "Basic YWxpY2U6d29uOmRlciBsYW5k", "basic  YQ==", "Bearer x", "Digest", "Digest username",
		`Digest username="alice", realm="camrelay", nonce="N", uri="rtsp://box/gate", response="00", algorithm=SHA-256`,
		`digest username="a", realm="camrelay", nonce="N", uri="/gate/", response="00", algorithm=MD5, qop=auth`,
	} {
		f.Add(seed, true, true)
	}
	u, err := base.ParseURL("rtsp://box/gate/trackID=0")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string, digest, basic bool) {
		now := time.Now()
		ch := challenge{nonce: "N", at: now}
		var r hub.Request
		req := &base.Request{Method: base.Setup, URL: u, Header: base.Header{"Authorization": base.HeaderValue{header}}}
		ch.show(&r, req, digest, basic, now)
		if r.Digest != nil && (!digest || r.Password != "" || r.Digest.Nonce != "N" || r.Digest.Method != "SETUP") {
			t.Errorf("digest %+v, password %q", r.Digest, r.Password)
		}
		if r.Digest == nil && r.User+r.Password != "" && !basic {
			t.Errorf("basic is taken: %q", r.User)
		}
		if len(r.User)+len(r.Password) > len(header) || strings.Contains(r.User, ":") && r.Digest == nil {
			t.Errorf("user %q, password %q of %q", r.User, r.Password, header)
		}
		for _, line := range ch.ask(digest, basic, now) {
			if strings.ContainsAny(line, "\r\n") {
				t.Errorf("challenge %q", line)
			}
		}
	})
}
