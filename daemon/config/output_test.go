package config

import (
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"camrelay/media/mediatest"
)

func TestLadders(t *testing.T) {
	cfg := parse(t, `version: 1
cameras:
  a: {url: rtsp://c/a, sub: {url: rtsp://c/b}}
  b: {url: rtsp://c/b, ladder: [a, a_sub]}
  c: {url: rtsp://c/c, sub: {url: rtsp://c/d}, ladder: []}
  d: {url: rtsp://c/d, ladder: [c, d, c_sub]}
  e: {url: rtsp://c/e}
`)
	want := map[string][]string{"a": {"a", "a_sub"}, "b": {"b", "a", "a_sub"}, "d": {"c", "d", "c_sub"}}
	if !reflect.DeepEqual(cfg.Ladders, want) {
		t.Errorf("%v, want %v", cfg.Ladders, want)
	}
}

func TestOutputsAndSound(t *testing.T) {
	cfg := parse(t, `version: 1
defaults: {audio: pass}
cameras:
  a: {url: rtsp://c/a, srt: off, images: off, audio: drop, sub: {url: rtsp://c/b, mpegts: off}}
  b: {url: rtsp://c/b, snapshot_url: "http://c/snap.jpg?channel=1"}
pushes:
  p: {camera: a, url: rtmp://h/live/k}
  q: {camera: b, url: rtmp://h/live/k}
  r: {camera: b, url: rtmp://h/live/k, audio: silent}
`)
	for name, want := range map[string]string{
		"a": "rtsp hls dash mpegts flv rtmp", "a_sub": "rtsp hls dash flv rtmp",
		"b": "rtsp hls dash mpegts flv rtmp srt still",
	} {
		var got []string
		for _, protocol := range []string{"rtsp", "hls", "dash", "mpegts", "flv", "rtmp", "srt", "still"} {
			if cfg.Cameras[name].Outputs.Serves(protocol) {
				got = append(got, protocol)
			}
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s is served by %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]Audio{"p": AudioDrop, "q": AudioPass, "r": AudioSilent} {
		if got := cfg.Pushes[name].Audio; got != want {
			t.Errorf("sound of %s: %s, want %s", name, got, want)
		}
	}
	if got := cfg.Cameras["b"].SnapshotURL; got != "http://c/snap.jpg?channel=1" {
		t.Errorf("snapshot from %s", got)
	}
}

func TestMulticast(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "invalid Prefix:0 ttl 0 by ",
		"multicast:":                       "239.255.0.0/16:5004 ttl 1 by ",
		"multicast: {}":                    "239.255.0.0/16:5004 ttl 1 by ",
		`multicast: {network: "", ttl: 3}`: "invalid Prefix:0 ttl 0 by ",
		"multicast: {network: 239.1.2.3/32, port: 6000, ttl: 16, interface: br.7}": "239.1.2.3/32:6000 ttl 16 by br.7",
	} {
		m := parse(t, "version: 1\nrtsp:\n  max_connections: 1\n  "+text+"\n").RTSP.Multicast
		if got := fmt.Sprintf("%v:%d ttl %d by %s", m.Network, m.Port, m.TTL, m.Interface); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestListeners(t *testing.T) {
	b := newBox(t, `version: 1
rtsp:
  max_connections: 100
  tls: {cert_file: cert.pem, key_file: key.pem}
http: {tls: {listen: ":443", cert_file: cert.pem, key_file: key.pem}}
rtmp: {listen: "", max_per_address: 3}
srt: {passphrase_file: secret, pbkeylen: 32, latency: 1s}
`)
	_, cert, key := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now())
	b.write("cert.pem", cert)
	b.write("key.pem", key)
	b.write("secret", "0123456789\n")
	cfg, sources := b.load()
	if len(sources) != 6 {
		t.Errorf("%d sources: %v", len(sources), sources)
	}
	tls := ServerTLS{Listen: ":8322", Cert: cert, Key: "x"}
	tls.Key = cfg.RTSP.TLS.Key
	if want := (RTSP{Listener{":8554", 100, 0}, tls, Multicast{}}); cfg.RTSP != want ||
		tls.Key.Reveal() != key {
		t.Errorf("rtsp is %+v", cfg.RTSP)
	}
	if cfg.HTTP.TLS.Listen != ":443" || cfg.HTTP.TLS.Cert != cert || cfg.HTTP.Listen != ":8888" {
		t.Errorf("http is %+v", cfg.HTTP)
	}
	if want := (Listener{"", 0, 3}); cfg.RTMP != want {
		t.Errorf("rtmp is %+v", cfg.RTMP)
	}
	if want := (SRT{Listener{Listen: ":8890"}, "0123456789", 32, time.Second}); cfg.SRT != want {
		t.Errorf("srt is %+v", cfg.SRT)
	}
	_, _, other := mediatest.Certificate(t, net.IPv4(127, 0, 0, 1), time.Now())
	b.write("key.pem", other)
	if got := b.rejected(); !strings.HasPrefix(got, "camrelay.yaml:4:3: rtsp.tls: cert_file and key_file are no pair") {
		t.Error(got)
	}
}
