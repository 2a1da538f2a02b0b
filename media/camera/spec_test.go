package camera

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"camrelay/media"
)

func TestTarget(t *testing.T) {
	tests := []struct {
		name, url, user, password      string // of the Spec
		addr, request, gotUser, gotPwd string
	}{
		{
			"port of RTSP", "rtsp://cam/live", "", "",
			"cam:554", "rtsp://cam/live", "", "",
		},
		{
			"port of RTSP over TLS, upper case", "RTSPS://cam/live", "", "",
			"cam:322", "rtsps://cam/live", "", "",
		},
		{
			"path and query as they are", "rtsp://10.0.0.1:8554/a%2fb/?user=x&real_stream&--=%20", "", "",
			"10.0.0.1:8554", "rtsp://10.0.0.1:8554/a%2fb/?user=x&real_stream&--=%20", "", "",
		},
		{
			"user info is decoded once", "rtsp://us%2540r:p%40ss%3Aw%2Frd%23%25%5E@cam/live", "", "",
			"cam:554", "rtsp://cam/live", "us%40r", testPassword,
		},
		{
			"the fields win over user info", "rtsp://a:b@cam/live", testUser, testPassword,
			"cam:554", "rtsp://cam/live", testUser, testPassword,
		},
		{
			"IPv6", "rtsp://[2001:db8::1]:5554/live", "", "",
			"[2001:db8::1]:5554", "rtsp://[2001:db8::1]:5554/live", "", "",
		},
		{
			"link-local IPv6 with its zone, which the camera does not see", "rtsp://[fe80::1%25eth0]/live", "", "",
			"[fe80::1%eth0]:554", "rtsp://[fe80::1]/live", "", "",
		},
		{
			"the same with a port", "rtsp://[fe80::1%25eth0]:8554/live", "", "",
			"[fe80::1%eth0]:8554", "rtsp://[fe80::1]:8554/live", "", "",
		},
		{name: "another scheme", url: "http://cam/"},
		{name: "no host", url: "rtsp:///live"},
		{name: "nothing", url: ""},
		{name: "a password that is not escaped", url: "rtsp://admin:p@ss:w/rd#%^@cam/live"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Spec{URL: tt.url, Username: tt.user, Password: media.Secret(tt.password)}.target()
			if tt.addr == "" {
				if err == nil {
					t.Fatalf("taken for %s", got.addr)
				}
				noSecret(t, err.Error())
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.addr != tt.addr || got.url.String() != tt.request || got.user != tt.gotUser || got.password != tt.gotPwd {
				t.Errorf("%s %s %q %q", got.addr, got.url, got.user, got.password)
			}
			if b, err := base.ParseURL(got.url.String()); err != nil || b.User != nil {
				t.Errorf("gortsplib reads %v, %v", b, err)
			}
		})
	}
}

func TestChallenges(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"as it should be", `Digest realm="a, Basic b", nonce="1"`, `Digest realm="a, Basic b", nonce="1"`},
		{"two in one line", `Digest realm="a", nonce="1", Basic realm="a"`, `Digest realm="a", nonce="1"|Basic realm="a"`},
		{"lower case", `digest realm="a"|basic realm="a"`, `Digest realm="a"|Basic realm="a"`},
		{"something else", `NTLM|Bearer x`, `NTLM|Bearer x`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(challenges(strings.Split(tt.in, "|")), "|"); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
