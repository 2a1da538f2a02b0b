package rtmp

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"camrelay/media"
)

func TestWhereAPushGoes(t *testing.T) {
	for name, tc := range map[string]struct {
		spec                   Spec
		address, url, app, key string
	}{
		"application and key": {
			Spec{URL: "rtmp://h/live/cam"}, "h:1935", "rtmp://h/live", "live", "cam",
		},
		"the last element is the key, with the query": {
			Spec{URL: "rtmp://h:1/a/b/c/d/k?p1=1&p2=2"}, "h:1", "rtmp://h:1/a/b/c/d", "a/b/c/d", "k?p1=1&p2=2",
		},
		"an application of one's own leaves the rest to the key": {
			Spec{URL: "rtmp://h/a/b/c/d/k?p=1", App: "a/b"}, "h:1935", "rtmp://h/a/b", "a/b", "c/d/k?p=1",
		},
		"an application that is not in the path": {
			Spec{URL: "rtmp://h/a/k", App: "x"}, "h:1935", "rtmp://h/x", "x", "k",
		},
		"YouTube's backup server, whose query belongs to the application": {
			Spec{URL: "rtmps://b.rtmps.youtube.com/live2?backup=1", Key: "abcd-efgh"},
			"b.rtmps.youtube.com:443", "rtmps://b.rtmps.youtube.com/live2?backup=1", "live2?backup=1", "abcd-efgh",
		},
		"a key of its own and a slash at the end": {
			Spec{URL: "rtmp://h/app/x/", Key: "k"}, "h:1935", "rtmp://h/app/x", "app/x", "k",
		},
		"a key and an application of their own": {
			Spec{URL: "rtmp://h/", App: "a", Key: "k"}, "h:1935", "rtmp://h/a", "a", "k",
		},
		"an address of IPv6":     {Spec{URL: "rtmps://[::1]/a/k"}, "[::1]:443", "rtmps://[::1]/a", "a", "k"},
		"nothing is decoded":     {Spec{URL: "rtmp://h/a%20b/k%2f"}, "h:1935", "rtmp://h/a%20b", "a%20b", "k%2f"},
		"no key":                 {Spec{URL: "rtmp://h/app"}, "", "", "", ""},
		"no key behind a slash":  {Spec{URL: "rtmp://h/app/?q=1"}, "", "", "", ""},
		"no path":                {Spec{URL: "rtmp://h", Key: "k"}, "", "", "", ""},
		"another protocol":       {Spec{URL: "http://h/a/k"}, "", "", "", ""},
		"no host":                {Spec{URL: "rtmp:///a/k"}, "", "", "", ""},
		"a user":                 {Spec{URL: "rtmp://u:p@h/a/k"}, "h:1935", "rtmp://h/a", "a", "k"},
		"what is not a URL":      {Spec{URL: "rtmp://h/a/k%zz"}, "", "", "", ""},
		"a key of 5000 bytes":    {Spec{URL: "rtmp://h/a", Key: media.Secret(strings.Repeat("k", 5000))}, "", "", "", ""},
		"a control character":    {Spec{URL: "rtmp://h/a/k\n"}, "", "", "", ""},
		"a port that is no port": {Spec{URL: "rtmp://h:x/a/k"}, "", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.spec.parse()
			if tc.app == "" {
				if err == nil || media.ClassOf(err) != media.ClassUnsupported || strings.Contains(err.Error(), "k%zz") {
					t.Errorf("got %v, want an error", err)
				}
				return
			}
			if err != nil || got.address != tc.address || got.url != tc.url || got.app != tc.app || got.key != tc.key {
				t.Errorf("got %s %s app %s key %s, %v", got.address, got.url, got.app, got.key, err)
			}
		})
	}
}

func TestWhatAServerWroteIsShownWithoutTheKey(t *testing.T) {
	target, err := Spec{URL: "rtmp://h/live/cam%201?token=abc%2Fdef&x=1"}.parse()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"stream cam%201?token=abc%2Fdef&x=1 exists": "stream *** exists",
		"stream cam 1 exists":                       "stream *** exists",
		"token abc/def or abc%2Fdef":                "token *** or ***",
		"two\nlines\x1b[31m \xff":                   "two lines [31m ?",
		strings.Repeat("é", 300):                    strings.Repeat("é", 200) + "…",
	} {
		if got := target.shown(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestASpecShowsNoSecret(t *testing.T) {
	var log strings.Builder
	s := Spec{URL: "rtmp://h/live/hidden?t=hidden", Key: "hidden"}
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "spec", s)
	if text := fmt.Sprintf("%v %+v %s ", s, s, s) + log.String(); strings.Contains(text, "hidden") {
		t.Error(text)
	}
}
