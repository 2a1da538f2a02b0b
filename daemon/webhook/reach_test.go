package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestWhereHooksMayBe(t *testing.T) {
	for _, row := range []struct {
		host, ip string
		want     error
	}{
		{"hook.example", "192.0.2.1", nil},
		{"hook.example", "10.20.0.7", nil},
		{"hook.example", "2001:db8::1", nil},
		{"hook.example", "127.0.0.1", errHere},
		{"hook.example", "127.9.9.9", errHere},
		{"hook.example", "::1", errHere},
		{"hook.example", "::ffff:127.0.0.1", errHere},
		{"localhost.example", "127.0.0.1", errHere},
		{"localhost", "127.0.0.1", nil},
		{"127.0.0.1", "127.0.0.1", nil},
		{"::1", "::1", nil},
		{"hook.example", "169.254.169.254", errNextDoor},
		{"169.254.169.254", "169.254.169.254", errNextDoor},
		{"hook.example", "::ffff:169.254.169.254", errNextDoor},
		{"hook.example", "fe80::1%eth0", errNextDoor},
		{"hook.example", "fd00:ec2::254", errNextDoor},
		{"hook.example", "0.0.0.0", errNowhere},
		{"0.0.0.0", "0.0.0.0", errNowhere},
		{"::", "::", errNowhere},
		{"hook.example", "224.0.0.1", errNowhere},
		{"hook.example", "ff02::1", errNowhere},
		{"hook.example", "255.255.255.255", errNowhere},
	} {
		if err := reachOf(row.host).judge(netip.MustParseAddr(row.ip)); !errors.Is(err, row.want) {
			t.Errorf("%s at %s: %v, want %v", row.host, row.ip, err, row.want)
		}
	}
}

// TestHooksAreJudgedAsDialled has a server that only the right address reaches,
// and forms of addresses that resolvers take for others.
func TestHooksAreJudgedAsDialled(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for host, says := range map[string]string{
		"127.0.0.1": "", "localhost": "", "0.0.0.0": "no single host", "[::]": "no single host",
		"[::ffff:0.0.0.0]": "no single host", "169.254.169.254": "link-local", "[fe80::1%25lo]": "link-local",
		"2130706433": "no such host", "0x7f.1": "no such host", "127.1": "no such host",
	} {
		before := asked
		c, err := NewClient(Spec{URL: "http://" + host + ":" + port + "/hook?key=hunter2"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Post(t.Context(), "", nil)
		c.Close()
		switch {
		case says == "" && (err != nil || asked != before+1):
			t.Errorf("%s: %v, asked %d times", host, err, asked-before)
		case says != "" && (err == nil || asked != before || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v, asked %d times", host, err, asked-before)
		case says != "" && says != "no such host" && !strings.Contains(err.Error(), says):
			t.Errorf("%s: %v, want %s", host, err, says)
		}
	}
}
