package still

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseChallenges(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"Basic", []string{`Basic realm="IP Camera(C1)"`}, "basic[realm:IP Camera(C1)]"},
		{
			"Hikvision: both in lines of their own",
			[]string{`Digest qop="auth", realm="IP Camera", nonce="4e6a:42", stale="FALSE"`, `Basic realm="IP Camera"`},
			"digest[nonce:4e6a:42 qop:auth realm:IP Camera stale:FALSE] basic[realm:IP Camera]",
		},
		{
			"both in one line",
			[]string{`Digest realm="a, b", nonce=abc,qop="auth,auth-int", Basic realm="x"`},
			"digest[nonce:abc qop:auth,auth-int realm:a, b] basic[realm:x]",
		},
		{"spaces around the equals sign", []string{`digest  Realm = "x" ,nonce= "y"`}, "digest[nonce:y realm:x]"},
		{"quoted quotes", []string{`Digest realm="a\"b\\c"`}, `digest[realm:a"b\c]`},
		{"a quote without end", []string{`Digest realm="abc`}, "digest[realm:abc]"},
		{"a name that comes twice counts once", []string{`Digest realm="a", realm="b"`}, "digest[realm:a]"},
		{"parameters without a scheme", []string{`realm="a", Basic realm="b"`}, "basic[realm:b]"},
		{"garbage", []string{"\x00\x01{{{;;;"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, c := range parseChallenges(tc.lines) {
				got = append(got, c.scheme+strings.TrimPrefix(fmt.Sprint(c.params), "map"))
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("got %s, want %s", s, tc.want)
			}
		})
	}
}

// TestDigestOfTheSpecification holds the answers against RFC 7616 §3.9.1 and
// RFC 2617 §3.5.
func TestDigestOfTheSpecification(t *testing.T) {
	const (
		realm7616 = `realm="http-auth@example.org", qop="auth, auth-int", ` +
			`opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
		nonce7616  = `nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"`
		cnonce7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
		nonce2617  = `Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`
	)
	for _, tc := range []struct{ name, challenge, password, cnonce, want string }{
		{
			"MD5", "Digest algorithm=MD5, " + realm7616 + ", " + nonce7616, "Circle of Life", cnonce7616,
			"8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"SHA-256", "Digest algorithm=SHA-256, " + realm7616 + ", " + nonce7616, "Circle of Life", cnonce7616,
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"no algorithm named", nonce2617 + `, qop="auth,auth-int"`, "Circle Of Life", "0a4f113b",
			"6629fae49393a05397450978507c4ef1",
		},
		{"as before RFC 2617", nonce2617, "Circle Of Life", "", "670fd8c2df070c60b045671b8b24ff02"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := parseChallenges([]string{tc.challenge})[0]
			got := c.digest("Mufasa", tc.password, "/dir/index.html", tc.cnonce)
			if !strings.Contains(got, `response="`+tc.want+`"`) {
				t.Errorf("got %s, want response %s", got, tc.want)
			}
			if strings.Contains(tc.challenge, "opaque") != strings.Contains(got, "opaque") ||
				strings.Contains(tc.challenge, "qop") != strings.Contains(got, "nc=00000001") {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestTheStrongestChallengeIsAnswered(t *testing.T) {
	const md5 = `Digest realm="x", nonce="y", qop="auth"`
	const sha = `Digest realm="x", nonce="z", qop="auth", algorithm=SHA-256`
	for _, tc := range []struct {
		name  string
		lines []string
		want  string // of the answer
	}{
		{"SHA-256 before MD5 before Basic", []string{`Basic realm="x"`, md5, sha}, `nonce="z"`},
		{"MD5 before Basic", []string{`Basic realm="x"`, md5}, `nonce="y"`},
		{"sessions", []string{`Digest realm="x", nonce="y", algorithm=MD5-sess, qop=auth`}, "algorithm=MD5-sess"},
		{"Basic", []string{`Basic realm="x"`}, "Basic dTpw"},
		{"an algorithm that is not known", []string{`Digest realm="x", nonce="y", algorithm=SHA-512`}, ""},
		{"only with the body protected", []string{`Digest realm="x", nonce="y", qop="auth-int"`}, ""},
		{"others", []string{"Negotiate", "Bearer realm=x"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := authorize(parseChallenges(tc.lines), "u", "p", "/")
			if !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="a, b", nonce=abc,qop="auth,auth-int", Basic realm="x"`, "admin")
	f.Add("Digest realm=\"\r\nX: y\", nonce=\"\\\"\", algorithm=SHA-256-sess, opaque=\"\x00\"", "a\"b\\")
	f.Add("Basic", "ü")
	f.Fuzz(func(t *testing.T, line, user string) {
		all := parseChallenges([]string{line, line})
		if len(all) > maxChallenges || slices.ContainsFunc(all, func(c challenge) bool {
			return c.scheme == "" || len(c.params) > maxParams
		}) {
			t.Fatalf("got %v", all)
		}
		a := authorize(all, user, "secret", "/x?y=z")
		if strings.ContainsFunc(a, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("no header can hold %q", a)
		}
		if strings.Contains(a, "secret") && !strings.Contains(line+user, "secret") {
			t.Fatalf("the password is in %q", a)
		}
		if strings.HasPrefix(a, "Digest") { // what is written is what can be read
			back := parseChallenges([]string{a})
			if len(back) != 1 || back[0].scheme != "digest" || len(back[0].params["response"]) < 32 {
				t.Fatalf("%q is read as %v", a, back)
			}
		}
	})
}
