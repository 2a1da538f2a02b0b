package srt

import (
	"net"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

func TestValidate(t *testing.T) {
	good := Spec{Host: "ingest.example", Port: 9000}
	long := media.Secret(strings.Repeat("s", 600))
	for _, tc := range []struct {
		name string
		edit func(*Spec)
		want []string // in the text of the error; none: it is valid
	}{
		{"host and port are enough", func(*Spec) {}, nil},
		{"everything at its upper bound", func(s *Spec) {
			s.StreamID, s.Passphrase, s.PBKeyLen = long[:512], long[:79], 32
			s.Latency, s.Timeout = time.Minute, time.Hour
		}, nil},
		{"no port", func(s *Spec) { s.Port = 0 }, []string{"port"}},
		{"a host is not needed to listen", func(s *Spec) { s.Host, s.Listen = "", true }, nil},
		{"no host", func(s *Spec) { s.Host = "" }, []string{"host"}},
		{"streamid too long", func(s *Spec) { s.StreamID = long[:513] }, []string{"streamid has 513 bytes"}},
		{"passphrase too short", func(s *Spec) { s.Passphrase = long[:9] }, []string{"passphrase has 9 bytes"}},
		{"passphrase too long for peers of 1.4", func(s *Spec) { s.Passphrase = long[:80] }, []string{"passphrase"}},
		{"a key length that AES has not", func(s *Spec) { s.PBKeyLen = 20 }, []string{"pbkeylen is 20"}},
		{"negative latency", func(s *Spec) { s.Latency = -1 }, []string{"latency"}},
		{"latency of over a minute", func(s *Spec) { s.Latency = time.Hour }, []string{"latency is 1h"}},
		{"latency of half a millisecond", func(s *Spec) { s.Latency = time.Millisecond / 2 }, []string{"latency"}},
		{"negative timeout", func(s *Spec) { s.Timeout = -1 }, []string{"timeout"}},
		{"all mistakes at once", func(s *Spec) {
			s.Port, s.StreamID, s.Passphrase, s.PBKeyLen = 0, long, long, 1
		}, []string{"port", "streamid", "passphrase", "pbkeylen"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := good
			tc.edit(&s)
			err := s.Validate()
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not tell of %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "sss") {
				t.Errorf("%q holds a secret", err)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	s := Spec{Host: "h", Port: 1, StreamID: "id", Passphrase: "0123456789", PBKeyLen: 24, Latency: 400 * time.Millisecond}
	for name, want := range map[string]string{
		"latency": "400", "passphrase": "0123456789", "pbkeylen": "24", "streamid": "id", "payloadsize": "1316",
		"conntimeo": "3000", "peeridletimeo": "5000", "blocking": "1",
	} {
		if got := s.options()[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	plain := Spec{Host: "h", Port: 1, PBKeyLen: 16}.options()
	for _, name := range []string{"passphrase", "pbkeylen", "streamid"} { // empty ones make srtgo panic, or encrypt
		if got, ok := plain[name]; ok {
			t.Errorf("%s is %q without being asked for", name, got)
		}
	}
	if plain["latency"] != "120" {
		t.Errorf("latency is %q, want 120", plain["latency"])
	}
}

func TestResolve(t *testing.T) {
	for host, want := range map[string]string{
		"127.0.0.1": "127.0.0.1:9000", "::1": "[::1]:9000", "::ffff:127.0.0.1": "127.0.0.1:9000",
	} {
		got, err := Spec{Host: host, Port: 9000}.resolve(t.Context())
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: got %v, %v", host, got, err)
		}
	}
	_, err := Spec{Host: "no-such-host.invalid", Port: 9000}.resolve(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no-such-host.invalid") {
		t.Errorf("a host that cannot be: %v", err)
	}
	for _, tc := range []struct {
		err  net.DNSError
		want string
	}{
		{net.DNSError{Name: "ingest", IsNotFound: true}, "no such host: ingest"},
		{net.DNSError{Name: "ingest", IsTimeout: true}, "the name server does not answer when asked for ingest"},
		{net.DNSError{Name: "ingest", Err: "it misbehaves"}, "cannot resolve the host: lookup ingest: it misbehaves"},
	} {
		got := unresolved(&tc.err)
		if unheard := media.ClassOf(got) == media.ClassUnreachable; unheard != tc.err.IsTimeout {
			t.Errorf("%v is of class %s", got, media.ClassOf(got))
		}
		if got := got.Error(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestRejected(t *testing.T) {
	for code, want := range map[int]struct {
		class media.Class
		text  string
	}{
		0:    {media.ClassNetwork, "closes it at once"},
		5:    {media.ClassBusy, "no room"},
		10:   {media.ClassCredentials, "wrong passphrase"},
		11:   {media.ClassCredentials, "passphrase"},
		16:   {media.ClassUnreachable, "no answer"},
		1403: {media.ClassCredentials, "refuses this streamid"},
		1409: {media.ClassBusy, "already"},
		1505: {media.ClassUnsupported, "version"},
		1404: {media.ClassCredentials, "does not know this streamid"},
		1777: {media.ClassNetwork, "words of libsrt (reason 1777)"},
		2000: {media.ClassNetwork, "a code of its own (reason 2000)"},
	} {
		err := rejected(code, "words of libsrt")
		if media.ClassOf(err) != want.class || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%d: %v, class %s", code, err, media.ClassOf(err))
		}
	}
}

func TestConfigValidate(t *testing.T) {
	long := media.Secret(strings.Repeat("s", 80))
	for want, c := range map[string]Config{
		"":                        {Listen: ":8890", Passphrase: long[:20], PBKeyLen: 24, Latency: time.Second},
		"passphrase has 80 bytes": {Passphrase: long},
		"pbkeylen is 17":          {PBKeyLen: 17},
		"latency":                 {Latency: -time.Second},
		"limits":                  {MaxConns: -1},
	} {
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
