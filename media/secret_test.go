package media

import (
	"strings"
	"testing"
)

func TestRedactURL(t *testing.T) {
	for _, row := range []struct{ name, raw, want string }{
		{"user info", "rtsp://admin:hunter2@c:554/live", "rtsp://c:554/live"},
		{"a query", "rtsp://c/live?channel=1&token=hunter2", "rtsp://c/live?channel=***&token=***"},
		{"a stream key", "rtmp://h/live/hunter2", "rtmp://h/live/***"},
		{
			"XM: the password is in the path", "rtsp://c/user=admin_password=hunter2_channel=1_stream=0.sdp",
			"rtsp://c/user=admin_password=***",
		},
		{"in an element of it", "rtsp://c/a/PWD=hunter2/b", "rtsp://c/a/PWD=***/b"},
		{"escaped", "rtsp://c/password%3Dhunter2", "rtsp://c/password%3D***"},
		{"no URL", "hunter2", "***"},
		{"nothing to hide", "rtsp://c/Streaming/Channels/101", "rtsp://c/Streaming/Channels/101"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := RedactURL(row.raw)
			if got != row.want || strings.Contains(got, "hunter2") {
				t.Errorf("%s, want %s", got, row.want)
			}
			if hidden := row.name != "user info" && row.name != "nothing to hide"; Masked(got) != hidden {
				t.Errorf("masked: %v", Masked(got))
			}
		})
	}
}

func FuzzRedactURL(f *testing.F) {
	for _, raw := range []string{
		"rtsp://u:hunter2@h/p?a=b", "rtmp://h/a/hunter2", "srt://h:1?streamid=hunter2", "rtsp://h/user=a_password=hunter2",
		"rtsp://[::1]:554/%2F?x", "http://h/#hunter2", "rtsp://h/a?hunter2",
	} {
		f.Add(raw, "hunter2")
	}
	f.Fuzz(func(t *testing.T, raw, secret string) {
		if strings.ContainsAny(secret, "/?#@&=%:[]*") || len(secret) < 8 {
			return
		}
		// Wherever a secret stands that has a place of its own, it is not shown.
		for _, url := range []string{
			"rtsp://u:" + secret + "@h/p", "rtmp://h/live/" + secret, "srt://h:9?streamid=" + secret,
			"rtsp://h/user=a_password=" + secret + "_channel=1",
		} {
			if strings.Contains(RedactURL(url), secret) {
				t.Errorf("%q shows %q", RedactURL(url), secret)
			}
		}
		RedactURL(raw)
	})
}
