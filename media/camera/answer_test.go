package camera

import "testing"

func TestKeepalive(t *testing.T) {
	for _, tt := range []struct{ public, want string }{
		{"DESCRIBE, GET_PARAMETER", "GET_PARAMETER"},
		{"DESCRIBE", "OPTIONS"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			f := newFake(t)
			f.answers["OPTIONS"] = func(c *fakeConn, r asked) { c.reply(r, "200 OK", "Public: "+tt.public, "") }
			f.answers["GET_PARAMETER"] = func(c *fakeConn, r asked) { c.reply(r, "451 Parameter Not Understood", "", "") }
			f.answers["SETUP"] = func(c *fakeConn, r asked) {
				c.reply(r, "200 OK", "Session: 1;timeout=2\r\nTransport: "+r.field("Transport"), "")
			}
			f.play = func(c *fakeConn) { c.stream(1000, 1, 1, 1) }
			stop := newPuller(t, f.url()).start()
			f.wait("two keepalives in the session", func(all []asked) bool {
				n := 0
				for _, a := range all {
					if a.method == tt.want && a.field("Session") == "1" {
						n++
					}
				}
				return n >= 2
			})
			stop()
		})
	}
}

func TestKeepalivePeriod(t *testing.T) {
	for _, tt := range []struct {
		header string
		random float64
		want   string
	}{
		{"a", 1, "a;timeout=31"},                // 24.8 s of 60
		{"a;timeout=60", 0, "a;timeout=25"},     // 20 s
		{"a ; Timeout = 30", 1, "a;timeout=18"}, // 14.4 s
		{"a;timeout=600", 1, "a;timeout=31"},
		{"a;timeout=0", 1, "a;timeout=31"},
		{"a;timeout=1", 0, "a;timeout=1"},
		{"a;timeout=99999999999999999999", 1, "a;timeout=31"},
	} {
		if got := keepalive(tt.header, tt.random); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.header, got, tt.want)
		}
	}
}
