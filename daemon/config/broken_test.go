package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// broken is a file with mistakes. The file and what is said of it are in
// testdata/broken.golden, from which the tests of the daemon have them.
// hunter2 stands wherever a secret may.
type broken struct{ name, text string }

// cam is a camera with one more key, in a file whose last line it is.
func cam(key string) string {
	return "version: 1\ncameras:\n  gate: {url: rtsp://c/, " + key + "}\n"
}

// push is a push with one more key.
func push(url, key string) string {
	return "version: 1\ncameras: {gate: {url: rtsp://c/}}\n" +
		"pushes:\n  up: {camera: gate, url: \"" + url + "\"" + key + "}\n"
}

func top(line string) string { return "version: 1\n" + line + "\n" }

var syntax = []broken{
	{"an empty file", ""},
	{"a comment alone", "# nothing\n"},
	{"a version of the future", "version: 2\n"},
	{"no version", "cameras: {}\n"},
	{"a list instead of sections", "- a\n"},
	{"a word", "hunter2\n"},
	{"an unknown section", top("camers: {}")},
	{"a section that nobody means", top("zzzzzzzz: 1")},
	{"a key given twice", cam("title: a, title: b")},
	{"a section given twice", top("hls: {}\nhls: {}")},
	{"a camera named twice", "version: 1\ncameras:\n  a: {url: rtsp://c/}\n  a: {url: rtsp://c/}\n"},
	{"a tab in the indentation", top("cameras:\n\tgate: {}")},
	{"not UTF-8", top("# caf\xe9")},
	{"a NUL", top("# a\x00b")},
	{"UTF-16", "v\x00e\x00r\x00"},
	{"two documents", "version: 1\n---\nversion: 1\n"},
	{"an anchor", top("hls: &a {}")},
	{"an alias", top("hls: *a")},
	{"a merge key", top("hls: {<<: {}}")},
	{"a tag", top("hls: !!map {}")},
	{"a directive", "%YAML 1.1\n---\nversion: 1\n"},
	{"a bracket that is not closed", top("hls: {segment: 2s")},
	{"a quote that is not closed", cam("password: \"hunter2")},
	{"a colon in a plain value", "version: 1\ncameras:\n  gate:\n    url: rtsp://c/\n    password: hunter2: x\n"},
	{"half a file", "version: 1\ncameras:\n  gate:\n    url: rtsp://c/\n    passw"},
	{"too deep", top("hls: " + strings.Repeat("[", 40))},
	{"too deep in lines", top(strings.Repeat("- ", 40))},
	{"too wide", top("hls:\n" + strings.Repeat("  a: 1\n", 3000))},
	{"too long", "#" + strings.Repeat("x", 1<<20)},
}

var values = []broken{
	{"a bad word", top("access: {view: opn}")},
	{"yes for true", push("rtmp://h/a/b", ", demand: yes")},
	{"a number for a string", cam("title: 12")},
	{"a password that is a number", cam("password: 0123")},
	{"a password that is a number with a nine", cam("password: 0129")},
	{"a section for a string", cam("title: {a: b}")},
	{"a list for a section", top("hls: [2s]")},
	{"a string for a section", top("hls: 2s")},
	{"nothing for a value", top("access: {view: }")},
	{"a leading zero", push("rtmp://h/a/b", ", limit: 010")},
	{"a hexadecimal number", push("rtmp://h/a/b", ", limit: 0x10")},
	{"a negative limit", push("rtmp://h/a/b", ", limit: -1")},
	{"a number beyond all bounds", push("rtmp://h/a/b", ", limit: 99999999999999999999999")},
	{"a number in quotes", push("rtmp://h/a/b", ", limit: \"10\"")},
	{"a fraction", push("rtmp://h/a/b", ", limit: 1.5")},
	{"a duration without a unit", top("hls: {segment: 2}")},
	{"a duration of another world", top("hls: {segment: 2 sec}")},
	{"a duration out of range", top("hls: {segment: 2h}")},
	{"a size without a unit", top("hls: {budget: 256}")},
	{"a size of another unit", top("hls: {budget: 256m}")},
	{"a budget that holds nothing", top("hls: {budget: 4KiB}")},
	{"an address without a port", top("rtsp: {listen: localhost}")},
	{"a port by itself", top("rtsp: {listen: 8554}")},
	{"a port too high", top("rtsp: {listen: \":85540\"}")},
	{"a port by name", top("rtsp: {listen: \":rtsp\"}")},
	{"two servers at one port", top("http: {listen: \":8554\"}")},
	{"one server everywhere, one on loopback", top("http: {listen: \":9997\"}")},
	{"two pushes that wait for calls at one port", top("cameras:\n  gate: {url: rtsp://h/}\npushes:\n" +
		"  a: {camera: gate, url: \"srt://:9000?mode=listener\"}\n" +
		"  b: {camera: gate, url: \"srt://127.0.0.1:9000\", mode: listener}\n")},
	{"a push that waits for calls at a server's port", top("cameras:\n  gate: {url: rtsp://h/}\npushes:\n" +
		"  a: {camera: gate, url: \"srt://h:9000\", backup: {url: \"srt://:8890?mode=listener\"}}\n")},
	{"TLS with a certificate and no key", top("rtsp: {tls: {cert_file: a}}")},
	{"multicast outside a site", top("rtsp: {multicast: {network: 224.0.1.0/24}}")},
	{"multicast of IPv6", top("rtsp: {multicast: {network: \"ff05::/64\"}}")},
	{"multicast of all there is", top("rtsp: {multicast: {network: 224.0.0.0/4}}")},
	{"multicast to an address in a network", top("rtsp: {multicast: {network: 239.255.42.7/24}}")},
	{"multicast to an address", top("rtsp: {multicast: {network: 239.255.42.7}}")},
	{"multicast at an odd port", top("rtsp: {multicast: {port: 5005}}")},
	{"multicast at a port without others behind it", top("rtsp: {multicast: {port: 65534}}")},
	{"multicast that goes nowhere", top("rtsp: {multicast: {ttl: 0}}")},
	{"multicast by an interface that cannot be", top("rtsp: {multicast: {interface: eth0/1}}")},
	{"multicast that is switched on", top("rtsp: {multicast: on}")},
	{"TLS at another server's port", top("http: {tls: {listen: \":8554\", cert_file: a, key_file: b}}")},
	{"a bound below zero", top("rtmp: {max_connections: -1}")},
	{"an SRT server with a short passphrase", top("srt: {passphrase: hunter2}")},
	{"parts longer than segments", top("hls: {segment: 1s, part: 2s}")},
	{"a window of two segments", top("hls: {segment: 10s}")},
	{"a camera's budget above all", top("hls: {budget: 1MiB, budget_per_camera: 1GiB}")},
	{"no hours of the day", cam("keep: {warm: always}")},
	{"hours after midnight's", cam("keep: {warm: \"06:00-24:30\"}")},
	{"a window of no length", cam("keep: {warm: \"06:00-06:00\"}")},
	{"a day of no week", cam("keep: {warm: [\"06:00-22:00\", \"mon-fry 06:00-22:00\"]}")},
	{"hours without windows", cam("keep: {warm: []}")},
	{"hours of a time zone alone", cam("keep: {timezone: Europe/Berlin}")},
	{"a time zone that there is not", cam("keep: {warm: \"06:00-22:00\", timezone: Mars/Olympus}")},
	{"idle cameras that ask nobody", cam("on_idle: ask")},
	{"audio of another kind", cam("audio: mute")},
	{"a liveness threshold of nothing", top("stalled_after: 0s")},
	{"a keepalive of a camera that is not there", top("keepalives: {a: {camera: gate}}")},
	{"a keepalive of nothing", cam("") + "keepalives:\n  a:\n"},
}

// user is a user with one more key.
func user(key string) string { return "version: 1\nusers:\n  - {name: a, " + key + "}\n" }

// hook is the hook of events with one more key.
func hook(url, key string) string {
	return "version: 1\nhooks:\n  events: {url: \"" + url + "\", " + key + "}\n"
}

var people = []broken{
	{"a user without a known role", user("role: root")},
	{"a user without a name", top("users: [{token_hash: " + strings.Repeat("0", 64) + "}]")},
	{"a user with an odd name", top("users: [{name: \"a b\", token_hash: " + strings.Repeat("a", 64) + "}]")},
	{"a user without credentials", user("role: viewer")},
	{"a user with a password for a hash", user("password_hash: hunter2hunter2hunter2")},
	{"a user with a hash of another kind", user("password_hash: \"$argon2i$v=19$m=64,t=1,p=1$hunter2hunter2$hunter2\"")},
	{"a user whose hash would fill the memory", user("password_hash: \"$argon2id$v=19$m=4194304,t=1,p=1$" +
		"c2FsdHNhbHQ$hunter2hunter2hunter2hunter2\"")},
	{"a user with a token for a hash", user("token_hash: hunter2")},
	{"a user with half a list of hashes", user("token_hashes: [" + strings.Repeat("a", 64) + ", hunter2]")},
	{"two users of a name", "version: 1\nusers:\n  - {name: a, token_hash: " + strings.Repeat("a", 64) + "}\n" +
		"  - {name: a, token_hash: " + strings.Repeat("b", 64) + "}\n"},
	{"a user that is a name", top("users: [alice]")},
	{"a hook with a misspelt key", top("hooks: {events: {ulr: http://h}}")},
	{"a hook that there is not", top("hooks: {on_idle: {url: http://h/}}")},
	{"a hook of another scheme", hook("rtsp://h/hunter2", "")},
	{"a hook with a user", hook("http://a:hunter2@h/", "")},
	{"a hook with a short secret", hook("http://h/", "secret: hunter2")},
	{"a hook with two secrets", hook("http://h/", "secret: hunter2hunter2hunter2, secret_file: /x")},
	{"a hook of HTTP with TLS settings", hook("http://h/", "tls: {insecure: true}")},
	{"a hook with a deadline that nobody waits for", hook("http://h/", "timeout: 1m")},
	{"a hook of events with an interval", hook("http://h/", "interval: 10s")},
	{"a hook with odd types of events", hook("http://h/", "events: [session.opened, \"hunter2 *\"]")},
}

var objects = []broken{
	{"a password as it is shown", cam("password: \"***\"")},
	{"a URL as it is shown", "version: 1\ncameras: {gate: {url: \"rtsp://c/user=a_password=***\"}}\n"},
	{"a URL as a program sends it back", "version: 1\ncameras: {gate: {url: \"rtsp://c/?token=%2A%2A%2a\"}}\n"},
	{"a camera in capitals", "version: 1\ncameras:\n  Gate: {url: rtsp://c/}\n"},
	{"a camera named by its URL", "version: 1\ncameras:\n  \"rtsp://a:hunter2@c/\": {}\n"},
	{"two cameras named by their URL", "version: 1\ncameras: {\"a:hunter2@c\": {}, \"a:hunter2@c\": {}}\n"},
	{"a camera of nothing", "version: 1\ncameras:\n  gate:\n"},
	{"a camera that is a URL", "version: 1\ncameras:\n  gate: rtsp://a:hunter2@c/\n"},
	{"a misspelt password", cam("pasword: hunter2")},
	{"two passwords", cam("password: hunter2, password_file: /x")},
	{"half a reference", cam("password: \"x${cred:hunter2}\"")},
	{"a reference that climbs", cam("password: \"${cred:../hunter2}\"")},
	{"a reference where no secret stands", cam("username: \"${cred:hunter2}\"")},
	{"a password of two lines", cam("password: \"hunter2\\nb\"")},
	{"an empty password", cam("password: \"\"")},
	{
		"a user name in the URL and beside it",
		"version: 1\ncameras:\n  gate:\n    url: rtsp://admin:hunter2@c/\n    username: a\n",
	},
	{"a URL that is none", "version: 1\ncameras: {gate: {url: hunter2}}\n"},
	{"a URL of another scheme", "version: 1\ncameras: {gate: {url: \"http://a:hunter2@c/\"}}\n"},
	{"a URL with a password that is not escaped", "version: 1\ncameras: {gate: {url: \"rtsp://a:hunter2%zz@c/\"}}\n"},
	{"a URL with a hash in its password", "version: 1\ncameras: {gate: {url: \"rtsp://c/a#hunter2\"}}\n"},
	{"a URL without a host", "version: 1\ncameras: {gate: {url: \"rtsp:///a\"}}\n"},
	{"a URL with port 0", "version: 1\ncameras: {gate: {url: \"rtsp://c:0/a\"}}\n"},
	{"TLS for a plain camera", cam("tls: {insecure: true}")},
	{"a short fingerprint", "version: 1\ncameras: {gate: {url: rtsps://c/, tls: {fingerprint: abcd}}}\n"},
	{"a sub stream of a sub stream", cam("sub: {url: rtsp://c/2, sub: {}}")},
	{"a ladder of a sub stream", cam("sub: {url: rtsp://c/2, ladder: [gate]}")},
	{"a ladder with a camera that is not there", cam("ladder: [gate, gats]")},
	{"a ladder with a camera twice", cam("ladder: [a, a]")},
	{"a snapshot of another scheme", cam("snapshot_url: rtsp://c/hunter2")},
	{"a snapshot with a user", cam("snapshot_url: \"http://a:hunter2@c/\"")},
	{"a sub stream without a URL", cam("sub: {transport: udp}")},
	{
		"a camera with the path of a sub stream",
		"version: 1\ncameras:\n  gate_sub: {url: rtsp://c/}\n  gate: {url: rtsp://c/, sub: {url: rtsp://c/}}\n",
	},
	{
		"a camera with the path of a sub stream, behind it",
		"version: 1\ncameras:\n  gate: {url: rtsp://c/, sub: {url: rtsp://c/}}\n  gate_sub: {url: rtsp://c/}\n",
	},
}

var pushRows = []broken{
	{"a push of a camera that is not there", "version: 1\ncameras: {gate: {url: rtsp://c/}}\npushes:\n" +
		"  up: {camera: gat, url: rtmp://h/a/b}\n"},
	{"a push of nothing", "version: 1\npushes:\n  up: {}\n"},
	{"a scheme from elsewhere", push("foo://x/hunter2", "")},
	{"a scheme of viewers", push("http://x/hunter2", "")},
	{"RTMP without an application", push("rtmp://h", "")},
	{"RTMP without a stream key", push("rtmp://h/live/", "")},
	{"RTMP whose path is the application alone", push("rtmp://h/live/x", ", app: live/x")},
	{"RTMP with an application and no path", push("rtmp://h", ", app: live")},
	{"SRT with an application", push("srt://h:9", ", app: live")},
	{"RTMP with a user twice", push("rtmp://a:hunter2@h/live/x", ", username: a")},
	{"a password of nobody", push("rtmp://h/live/x", ", password: hunter2")},
	{"RTMP with H.265 in two ways", push("rtmp://h/live/x", ", enhanced: force, legacy_hevc: true")},
	{"RTSP with a stream key", push("rtsp://h/live", ", key: hunter2")},
	{"RTSP with other sound", push("rtsp://h/live", ", audio: silent")},
	{"RTSP with a transport", push("rtsp://h/live", ", transport: udp")},
	{"SRT with a user", push("srt://a:hunter2@h:9", "")},
	{"SRT as a caller of nobody", push("srt://:9", "")},
	{"a backup without a URL", push("srt://h:9", ", backup: {failures: 3}")},
	{"a backup with another scheme's keys", push("srt://h:9", ", backup: {url: \"rtmp://h/a/hunter2\", latency: 1s}")},
	{"a platform without a stream key", "version: 1\ncameras: {gate: {url: rtsp://c/}}\npushes:\n" +
		"  up: {camera: gate, platform: youtube}\n"},
	{"a platform that has no URL of all", "version: 1\ncameras: {gate: {url: rtsp://c/}}\npushes:\n" +
		"  up: {camera: gate, platform: ivs, key: hunter2}\n"},
	{"a platform that there is not", push("srt://h:9", ", platform: yuotube")},
	{"RTMP with a passphrase", push("rtmp://h/live/x", ", passphrase: hunter2hunter2")},
	{"RTMP with TLS settings", push("rtmp://h/live/x", ", tls: {insecure: true}")},
	{"SRT with a stream key", push("srt://h:9", ", key: hunter2")},
	{"SRT without a port", push("srt://h", "")},
	{"SRT with a path", push("srt://h:9/hunter2", "")},
	{"SRT with a short passphrase", push("srt://h:9", ", passphrase: hunter2")},
	{"SRT with a short passphrase in the URL", push("srt://h:9?passphrase=hunter2", "")},
	{"SRT as both sides", push("srt://h:9?mode=rendezvous", "")},
	{"SRT with an odd key length", push("srt://h:9", ", pbkeylen: 20")},
	{"SRT with a latency in words", push("srt://h:9?latency=low", "")},
	{"SRT with an option twice", push("srt://h:9?streamid=hunter2", ", streamid: hunter2")},
	{"SRT with a misspelt option", push("srt://h:9?stremid=hunter2", "")},
	{"SRT with a bad escape", push("srt://h:9?streamid=%zz", "")},
}

// update rewrites the golden file with what is said now.
var update = flag.Bool("update", false, "rewrite testdata/broken.golden")

const golden = "testdata/broken.golden"

func TestBroken(t *testing.T) {
	var said strings.Builder
	for _, row := range slices.Concat(syntax, layout, values, people, objects, pushRows) {
		t.Run(row.name, func(t *testing.T) {
			cfg, err := Parse("c.yaml", []byte(row.text))
			if err == nil {
				t.Fatalf("accepted as %+v", cfg)
			}
			if text := Format(err, true) + err.Error(); strings.Contains(text, "hunter2") {
				t.Errorf("the secret is shown:\n%s", text)
			}
			if err := checkPlaces(err, row.text); err != nil {
				t.Error(err)
			}
			in := strconv.Quote(row.text)
			if len(row.text) > 4096 {
				in = fmt.Sprint(len(row.text), " bytes")
			}
			fmt.Fprintf(&said, "== %s\n%s\n%s\n", row.name, in, Format(err, false))
		})
	}
	if *update {
		if err := os.WriteFile(golden, []byte(said.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(string(want), "\n== ")
	for i, got := range strings.Split(said.String(), "\n== ") {
		if i >= len(wanted) || got != wanted[i] {
			t.Errorf("it says\n%s\nand not as in %s", got, golden)
		}
	}
}

// checkPlaces tells whether every mistake has a place inside the text.
func checkPlaces(err error, text string) error {
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 {
		return fmt.Errorf("no mistakes in %v", err)
	}
	lines := strings.Split(text, "\n")
	for _, e := range all {
		if e.Line == 0 && e.Column == 0 {
			continue
		}
		if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 {
			return fmt.Errorf("%d:%d is outside the file", e.Line, e.Column)
		}
	}
	return nil
}

// TestAllMistakesAtOnce has a mistake in each section, in any order.
func TestAllMistakesAtOnce(t *testing.T) {
	_, err := Parse("c.yaml", []byte(`version: 1
pushes: {up: {camera: none, url: "x://y"}}
hls: {segment: 2}
cameras:
  a: {url: rtsp://c/, tittle: x}
  b: {}
`))
	var lines []int
	var all Errors
	errors.As(err, &all)
	for _, e := range all {
		lines = append(lines, e.Line)
	}
	if got := fmt.Sprint(lines); got != "[2 2 3 5 6]" {
		t.Errorf("mistakes in lines %s:\n%v", got, err)
	}
}
