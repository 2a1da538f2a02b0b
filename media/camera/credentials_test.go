package camera

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"camrelay/media"
)

func TestRedirects(t *testing.T) {
	to := func(location func() string) func(*fakeConn, asked) {
		return func(c *fakeConn, r asked) { c.reply(r, "302 Moved Temporarily", "Location: "+location(), "") }
	}
	t.Run("a loop ends after three", func(t *testing.T) {
		f := newFake(t)
		f.answers["DESCRIBE"] = to(f.url)
		wantClass(t, newPuller(t, f.url()).run(t.Context()), media.ClassUnsupported, "redirects more than three times")
		if n := f.count("DESCRIBE"); n != 4 {
			t.Errorf("%d DESCRIBEs, want 4", n)
		}
	})
	t.Run("another host gets no credentials", func(t *testing.T) {
		other := newFake(t)
		other.answers["DESCRIBE"] = func(c *fakeConn, r asked) {
			c.reply(r, "401 Unauthorized", `WWW-Authenticate: Basic realm="x"`, "")
		}
		f := newFake(t)
		f.answers["DESCRIBE"] = to(func() string { return strings.Replace(other.url(), "127.0.0.1", "localhost", 1) })
		p := newPuller(t, f.url())
		p.spec.Username, p.spec.Password = testUser, testPassword
		wantClass(t, p.run(t.Context()), media.ClassCredentials, "asks for")
		for _, r := range other.all {
			if r.field("Authorization") != "" {
				t.Errorf("%s got credentials", r.method)
			}
		}
	})
	t.Run("the same host gets them, at OPTIONS too", func(t *testing.T) {
		other := newFake(t)
		other.answers["DESCRIBE"] = func(c *fakeConn, r asked) {
			if r.field("Authorization") == "" {
				c.reply(r, "401 Unauthorized", `WWW-Authenticate: Basic realm="x"`, "")
				return
			}
			c.reply(r, "404 Not Found", "", "")
		}
		f := newFake(t)
		f.answers["OPTIONS"] = to(other.url)
		p := newPuller(t, f.url())
		p.spec.Username, p.spec.Password = testUser, testPassword
		wantClass(t, p.run(t.Context()), media.ClassRefused, "(404)")
		if strings.Count(p.log.String(), "password in clear") != 1 {
			t.Errorf("the log says %q", p.log.String())
		}
	})
	for _, location := range []string{"http://127.0.0.1/", "file:///etc/passwd", "rtsp:///x", "%", "rtsp:x"} {
		t.Run("never to "+location, func(t *testing.T) {
			f := newFake(t)
			f.answers["DESCRIBE"] = to(func() string { return location })
			wantClass(t, newPuller(t, f.url()).run(t.Context()), media.ClassUnsupported, "redirects to something")
		})
	}
}

// digest answers with 401 until a request is signed with the nonce that is
// valid then.
func digest(nonce func(r asked) (valid string, stale bool)) func(c *fakeConn, r asked) {
	hash := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	return func(c *fakeConn, r asked) {
		n, stale := nonce(r)
		want := hash(hash(testUser+":cam:"+testPassword) + ":" + n + ":" + hash(r.method+":"+r.url))
		if strings.Contains(r.field("Authorization"), want) {
			c.sound(r)
			return
		}
		c.reply(r, "401 Unauthorized",
			fmt.Sprintf("WWW-Authenticate: digest realm=\"cam\", nonce=%q, stale=%v", n, stale), "")
	}
}

func TestDigest(t *testing.T) {
	methods := []string{"OPTIONS", "DESCRIBE", "SETUP", "PLAY"}
	run := func(t *testing.T, f *fake, password media.Secret) error {
		f.play = func(c *fakeConn) { c.Close() }
		p := newPuller(t, f.url())
		p.spec.Username, p.spec.Password = testUser, password
		return p.run(t.Context())
	}
	t.Run("one nonce for all", func(t *testing.T) {
		f := newFake(t)
		for _, m := range methods {
			f.answers[m] = digest(func(asked) (string, bool) { return "n", false })
		}
		wantClass(t, run(t, f, testPassword), media.ClassNetwork, "the connection has ended")
	})
	t.Run("a nonce that runs out with each request", func(t *testing.T) {
		f := newFake(t)
		for _, m := range methods {
			f.answers[m] = digest(func(r asked) (string, bool) { return "n" + r.method, r.method != "OPTIONS" })
		}
		wantClass(t, run(t, f, testPassword), media.ClassNetwork, "the connection has ended")
	})
	t.Run("a wrong password is tried once", func(t *testing.T) {
		f := newFake(t)
		f.answers["DESCRIBE"] = digest(func(asked) (string, bool) { return "n", false })
		wantClass(t, run(t, f, "wrong"), media.ClassCredentials, "refuses the user name or password")
		if n := f.count("DESCRIBE"); n != 2 {
			t.Errorf("%d tries, want one without and one with credentials", n)
		}
	})
	t.Run("stale for ever is not tried for ever", func(t *testing.T) {
		f := newFake(t)
		f.answers["DESCRIBE"] = digest(func(asked) (string, bool) { return "n", true })
		wantClass(t, run(t, f, "wrong"), media.ClassCredentials, "refuses the user name or password")
		if n := f.count("DESCRIBE"); n > 3 {
			t.Errorf("%d tries", n)
		}
	})
	t.Run("credentials in the URL", func(t *testing.T) {
		f := newFake(t)
		f.answers["DESCRIBE"] = digest(func(asked) (string, bool) { return "n", false })
		p := newPuller(t, strings.Replace(f.url(), "//", "//admin:p%40ss%3Aw%2Frd%23%25%5E@", 1))
		f.play = func(c *fakeConn) { c.Close() }
		wantClass(t, p.run(t.Context()), media.ClassNetwork, "the connection has ended")
	})
}
