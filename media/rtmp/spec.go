package rtmp

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"camrelay/media"
	"camrelay/media/flv"
)

// Spec is the wanted push. It is comparable.
//
// The URL is rtmp://host[:port]/app/key?query or rtmps://…, with ports 1935 and
// 443 by default. The application is everything up to the last slash, the
// stream key is the last element with the query. If Key is set, the URL names
// the server alone, as streaming programs ask for it: the whole path with its
// query is the application. App overrides the application; what follows it in
// the path is then the key, with its slashes.
//
//	rtmp://h/live/cam                    → app live, key cam
//	rtmp://h/a/b/c/d/k?p=1               → app a/b/c/d, key k?p=1
//	rtmp://h/a/b/c/d/k?p=1, App a/b      → app a/b, key c/d/k?p=1
//	rtmps://h/live2?backup=1, Key secret → app live2?backup=1, key secret
//
// Nothing is decoded: the server gets the text as it stands here.
type Spec struct {
	URL     string
	App     string
	Key     media.Secret
	Agent   string        // name and version of this program; camrelay if empty
	Timeout time.Duration // for connecting, for publishing, and without progress; 10 s if 0

	// User and Password answer servers that ask for them by a challenge (authmod
	// adobe and llnw). Those in the URL, user:password@host, are taken if User is
	// empty.
	User     string
	Password media.Secret

	NoVideo, NoAudio bool // leave the tracks of a kind out

	Enhanced   Enhanced // how H.265 and Opus are sent
	LegacyHEVC bool     // send H.265 by codec id 12 where Enhanced RTMP is not to be used

	// Of rtmps:
	Insecure    bool   // take any certificate
	Fingerprint string // SHA-256 of the server's certificate in hex, colons allowed: take this one alone
	CA          string // PEM of the authorities to trust; those of the system if empty
}

// Enhanced says whether codecs go by FourCC (Enhanced RTMP).
type Enhanced string

// The choices. Anything else means EnhancedAuto.
const (
	EnhancedAuto  Enhanced = "auto"  // if the server offers it
	EnhancedForce Enhanced = "force" // H.265 without its offer
	EnhancedOff   Enhanced = "off"   // never
)

// extras returns what is sent to a server with this offer.
func (s Spec) extras(offered flv.Extras) flv.Extras {
	switch s.Enhanced {
	case EnhancedOff:
		offered = 0
	case EnhancedForce:
		offered |= flv.EnhancedHEVC
	case EnhancedAuto:
	}
	if s.LegacyHEVC {
		offered |= flv.LegacyHEVC
	}
	return offered
}

const defaultTimeout = 10 * time.Second

// String returns the URL in a form that may be shown to anybody.
func (s Spec) String() string { return media.RedactURL(s.URL) }

// target is what a Spec asks for, as the protocol wants it.
type target struct {
	tls        bool
	host       string // without port
	address    string // host:port
	url        string // tcUrl
	app, key   string
	agent      string
	user       string
	password   media.Secret
	auth       string   // answer to a challenge, behind the application's name
	tried      int      // answers given
	secretText []string // what must not be shown
}

// badURL is the text of every problem of a URL, which is not quoted.
const badURL = "the URL must be rtmp://host/app/key or rtmps://host/app/key"

// parse reads the URL.
func (s Spec) parse() (target, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "rtmp" && u.Scheme != "rtmps" {
		return target{}, unsupported(badURL)
	}
	t := target{tls: u.Scheme == "rtmps", host: u.Hostname(), agent: s.Agent, user: s.User, password: s.Password}
	if t.user == "" && u.User != nil {
		t.user = u.User.Username()
		p, _ := u.User.Password()
		t.password = media.Secret(p)
	}
	if t.agent == "" {
		t.agent = "camrelay"
	}
	t.address = net.JoinHostPort(t.host, portOf(u))
	t.app, t.key = s.split(u)
	if t.app == "" || t.key == "" || len(t.app) > maxName || len(t.key) > maxName {
		return target{}, unsupported(badURL)
	}
	t.url = u.Scheme + "://" + u.Host + "/" + t.app
	t.secretText = secretsOf(t.key)
	if p := t.password.Reveal(); p != "" {
		t.secretText = append(t.secretText, p, url.QueryEscape(p))
	}
	return t, nil
}

// maxName bounds application and key; AMF0 strings end at 64 KiB.
const maxName = 4096

func (s Spec) split(u *url.URL) (app, key string) {
	path, query := strings.TrimPrefix(u.EscapedPath(), "/"), ""
	if u.RawQuery != "" {
		query = "?" + u.RawQuery
	}
	key = s.Key.Reveal()
	switch rest, below := strings.CutPrefix(path, s.App+"/"); {
	case key != "" && s.App != "":
		return s.App, key
	case key != "":
		return strings.TrimSuffix(path, "/") + query, key
	case s.App != "" && below:
		return s.App, rest + query
	}
	i := strings.LastIndexByte(path, '/')
	if key = path[i+1:]; key != "" {
		key += query
	}
	if s.App != "" {
		return s.App, key
	}
	return path[:max(i, 0)], key
}

// secretsOf returns the forms in which a server may echo a stream key, the
// longest first: whole, without its query, and each value of the query.
func secretsOf(key string) []string {
	name, query, _ := strings.Cut(key, "?")
	forms := []string{key, name}
	for kv := range strings.SplitSeq(query, "&") {
		if _, v, ok := strings.Cut(kv, "="); ok && len(v) >= 4 {
			forms = append(forms, v)
		}
	}
	for _, f := range slices.Clip(forms) {
		if plain, err := url.PathUnescape(f); err == nil && plain != f && plain != "" {
			forms = append(forms, plain)
		}
		if coded := url.QueryEscape(f); coded != f {
			forms = append(forms, coded)
		}
	}
	return forms
}

// shown returns what a server wrote in a form that may be shown to anybody:
// short, printable, without the stream key.
func (t target) shown(s string) string {
	for _, secret := range t.secretText {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "***")
		}
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	const limit = 200
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "…"
	}
	return strings.Join(strings.Fields(s), " ")
}
