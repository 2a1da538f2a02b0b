package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the import path before every room's.
const module = "camrelay/"

// room says what one package may import of this module. A name that ends in
// /... means the package before it and all below. An import that is missing
// here is refused and because says why; a package that is missing fails too.
type room struct {
	path    string
	imports string // separated by spaces
	because string
}

// rooms is the layer table, from the top down. Rooms at the same height do not
// know one another, so that a new one touches nothing but its line here and
// those who wire it.
var rooms = []room{
	{
		"cmd/camrelay", "daemon daemon/api daemon/auth daemon/config daemon/session daemon/webhook media media/srt " +
			"media/testcam selftest systemd",
		"main parses, wires and exits",
	},
	{"selftest", "hal/... daemon/config daemon/api media media/testcam", "checks use the box as its users do"},
	{"bench/...", "daemon/... media/... hal/...", "benchmarks measure rooms from outside"},
	{"daemon", "daemon/... media/... hal/... systemd", "it wires everything below and nothing above"},

	{"daemon/api", "daemon/relay daemon/session daemon/keepalive daemon/auth daemon/health daemon/config " +
		"daemon/supervise daemon/webhook media media/hub", "the API shows these rooms' states and no other's"},
	{
		"daemon/relay", "daemon/session daemon/supervise daemon/health daemon/auth media media/hub",
		"the broker starts paths, registers sessions and authorises; servers come to it",
	},
	{"daemon/keepalive", "daemon/durable media media/hub", "leases outlive power cuts"},
	{"daemon/metrics", "media media/hub", daemonHeight},
	{"daemon/web", "media media/hub media/httpdoor", daemonHeight},
	{"daemon/health", "media", daemonHeight},
	{"daemon/session", "media", daemonHeight},
	{"daemon/auth", "media media/hub", daemonHeight},
	{"daemon/webhook", "media media/trust", daemonHeight},
	{"daemon/supervise", "media", daemonHeight},
	{"daemon/config", "media media/platform", "beside the nouns it knows what URLs platforms have"},
	{"daemon/durable", "", "it replaces files, whatever they hold"},
	{"daemon/reconcile", "", "it keeps goroutines for any key and spec"},
	{"daemon/watch", "", "it only tells that files changed"},

	{"media/testcam", "media media/codec", "a camera is not a part of what it tests"},
	{"media/mediatest", "media media/codec media/hub", "every room's tests import it, so it imports only nouns"},

	{"media/mediatest/hlscheck", "media media/codec", "a player knows no server"},

	{"media/camera", "media media/hub media/depay media/timeline media/codec media/trust", mediaHeight},
	{
		"media/hls", "media media/hub media/fmp4 media/mpegts media/feed media/codec media/cmaf media/hls/playlist " +
			"media/accept media/httpdoor",
		mediaHeight,
	},
	{"media/hls/playlist", "media", "it formats text"},
	{"media/dash", "media media/hub media/fmp4 media/codec media/cmaf media/httpdoor", mediaHeight},
	{"media/rtspd", "media media/hub media/codec media/depay media/trust media/accept media/upstream", mediaHeight},
	{
		"media/httplive", "media media/hub media/mpegts media/flv media/feed media/codec media/accept media/httpdoor",
		mediaHeight,
	},
	{
		"media/still", "media media/hub media/fmp4 media/depay media/codec media/trust media/accept media/httpdoor",
		mediaHeight,
	},
	{"media/rtmp", "media media/hub media/flv media/trust media/accept media/upstream", mediaHeight},
	{"media/srt", "media media/hub media/mpegts media/feed media/codec", mediaHeight},

	{"media/feed", "media media/hub media/mpegts media/flv", "it keeps the logs that several protocols share"},
	{"media/audio", "media media/hub media/codec", "a stream in, a view of it with other audio out"},
	{"media/cmaf", "media", "nouns of segments, for those who keep them and those who list them"},
	{"media/fmp4", "media media/codec", muxer},
	{"media/mpegts", "media media/codec", muxer},
	{"media/flv", "media media/codec", muxer},
	{"media/depay", "media media/codec media/timeline", "it turns packets into units and knows no reader"},
	{"media/timeline", "media", "it compares stamps"},
	{"media/codec", "media", "it knows bits"},
	{"media/httpdoor", "media/accept media/hub", "what outputs over HTTP do before they serve media"},
	{"media/accept", "", "it lets connections and viewers in and speaks no protocol"},
	{"media/upstream", "media media/trust", "it connects and speaks no protocol"},
	{"media/platform", "media", "it says what platforms demand, and measures nothing"},
	{"media/trust", "media", "it judges certificates and dials nobody"},
	{"media/hub", "media", "the log knows neither codec nor protocol"},
	{"media", "", "the nouns stand below everything"},

	{"hal/...", "hal/...", "hardware knows nothing of media"},
	{"systemd", "", "it speaks to systemd and to nobody else"},
	{"packaging/...", "media media/testcam", "the test of the package brings a camera into a bare box"},
}

const (
	daemonHeight = "rooms of the daemon know only the nouns; daemon wires them"
	mediaHeight  = "one protocol never knows another; daemon wires them"
	muxer        = "a muxer is pure: units in, bytes out"
)

// testRooms may be imported by every test and by nobody else who does not list them.
const testRooms = "media media/codec media/hub media/mediatest media/mediatest/hlscheck media/testcam"

// door says which rooms may import a library; tests names rooms whose tests may as well.
type door struct {
	library string
	rooms   string
	tests   string
	because string
}

var doors = []door{
	{
		"github.com/bluenviron/gortsplib/v4",
		"media/camera media/rtspd media/depay media/testcam media/mediatest", "",
		"RTSP is spoken where cameras and viewers are",
	},
	{
		"github.com/bluenviron/mediacommon/v2",
		"media/codec media/depay media/flv media/mpegts media/testcam media/mediatest",
		"", "parameter sets are parsed beside the bits",
	},
	{"github.com/yapingcat/gomedia", "media/mpegts media/flv media/rtmp", "", "its panics and limits are contained there"},
	{"github.com/Eyevinn/mp4ff", "media/fmp4 media/codec", "media/hls media/dash", "boxes are written in one place"},
	{"github.com/bluenviron/gohlslib/v2", "", "media/hls", "it is a viewer for tests"},
	{"github.com/haivision/srtgo", "media/srt", "", "it is safe in one way of use only"},
	{"github.com/fsnotify/fsnotify", "daemon/watch", "", "one room watches files"},
	{"github.com/prometheus/client_golang", "daemon/metrics", "", "one room knows who asks for the figures"},
	{"github.com/goccy/go-yaml", "daemon/config", "", "one room reads the file"},
	{"github.com/google/uuid", "daemon/session daemon/keepalive", "", "sessions and leases are named where they are made"},
	{"github.com/coreos/go-systemd/v22", "systemd hal/...", "", "systemd is spoken to in one room"},
	{
		"github.com/pion/rtp",
		"media/camera media/rtspd media/depay media/testcam media/mediatest", "media/timeline",
		"RTP ends where units begin",
	},
	{
		"github.com/pion/rtcp", "media/camera media/rtspd media/timeline media/testcam media/mediatest", "",
		"RTCP belongs to an RTSP session",
	},
	{"github.com/pion/sdp/v3", "media/camera media/rtspd", "", "SDP belongs to an RTSP session"},
	{"golang.org/x/crypto", "daemon/auth", "", "passwords are compared in one room"},
	{"github.com/gen2brain/aac-go", "media/audio", "", "sound is encoded in one room"},
	{"golang.org/x/net", "media/rtspd media/camera", "", "batched datagrams"},
	{
		"golang.org/x/sys", "cmd/camrelay selftest hal/... systemd daemon media/hls media/rtspd media/camera media/srt " +
			"media/upstream media/mediatest daemon/watch",
		"", "few rooms talk to the kernel; watch asks it whether a file is a mount",
	},
}

// cgoRooms may use cgo; all of them build without it.
const cgoRooms = "media/srt media/audio"

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
	CgoFiles                           []string
}

// listPackages returns all packages of the module as they are with and
// without cgo, so that neither half of a pair of files escapes.
func listPackages(t *testing.T) []pkg {
	t.Helper()
	var all []pkg
	for _, cgo := range []string{"CGO_ENABLED=1", "CGO_ENABLED=0"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-e",
			"-json=ImportPath,Imports,TestImports,XTestImports,CgoFiles", "./...")
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), cgo)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, &complaints)
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
			var p pkg
			if err := dec.Decode(&p); err != nil {
				t.Fatal(err)
			}
			p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
			all = append(all, p)
		}
	}
	return all
}

// matches tells whether a list of names and patterns holds a path.
func matches(list, name string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(pattern string) bool {
		if below, ok := strings.CutSuffix(pattern, "/..."); ok {
			return name == below || strings.HasPrefix(name, below+"/")
		}
		return name == pattern
	})
}

// findRoom returns the line of a package.
func findRoom(name string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.path, name) })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// findDoor returns the door of a library's package.
func findDoor(imported string) (door, bool) {
	i := slices.IndexFunc(doors, func(d door) bool {
		return imported == d.library || strings.HasPrefix(imported, d.library+"/")
	})
	if i < 0 {
		return door{}, false
	}
	return doors[i], true
}

// refuse returns why a package, or its tests, may not import something, "" if it may.
func refuse(r room, name, imported string, test bool) string {
	if own, ok := strings.CutPrefix(imported, module); ok {
		if matches(r.imports, own) || test && (own == name || matches(testRooms, own) || r.path == "cmd/camrelay") {
			return ""
		}
		return r.because
	}
	if imported == "C" {
		if matches(cgoRooms, name) {
			return ""
		}
		return "only " + cgoRooms + " uses cgo"
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	d, ok := findDoor(imported)
	switch {
	case !ok:
		return "the library has no door in the table"
	case matches(d.rooms, name), test && matches(d.tests, name):
		return ""
	}
	return d.because + "; its door is in " + d.rooms
}

// TestLayers holds every import of the module against the table.
func TestLayers(t *testing.T) {
	complaints := make(map[string]bool)
	for _, p := range listPackages(t) {
		r, ok := findRoom(p.ImportPath)
		if !ok {
			complaints[p.ImportPath+" is not in the table of rooms: give it a line"] = true
			continue
		}
		for _, list := range []struct {
			imports []string
			test    bool
		}{{p.Imports, false}, {p.TestImports, true}, {p.XTestImports, true}} {
			for _, imported := range list.imports {
				if why := refuse(r, p.ImportPath, imported, list.test); why != "" {
					who := p.ImportPath
					if list.test {
						who = "a test of " + who
					}
					complaints[fmt.Sprintf("%s may not import %s: %s", who, imported, why)] = true
				}
			}
		}
	}
	for _, c := range slices.Sorted(maps.Keys(complaints)) {
		t.Error(c)
	}
}

// TestLayerTableNamesWhatExists finds rules that match nothing: a library that
// go.mod does not require, a room that no line describes, a requirement
// without a door.
func TestLayerTableNamesWhatExists(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range doors {
		if !bytes.Contains(mod, []byte("\t"+d.library+" ")) {
			t.Errorf("there is a door for %s, which go.mod does not require", d.library)
		}
		for name := range strings.FieldsSeq(d.rooms + " " + d.tests) {
			known(t, "the door of "+d.library, name)
		}
	}
	for line := range strings.Lines(string(mod)) {
		library, _, ok := strings.Cut(strings.TrimSpace(line), " v")
		if !ok || strings.Contains(line, "// indirect") {
			continue
		}
		if _, ok := findDoor(library); !ok {
			t.Errorf("go.mod requires %s, which has no door", library)
		}
	}
	seen := make(map[string]bool)
	for _, r := range rooms {
		if seen[r.path] {
			t.Errorf("%s has two lines", r.path)
		}
		seen[r.path] = true
		for name := range strings.FieldsSeq(r.imports) {
			known(t, r.path, name)
		}
	}
}

func known(t *testing.T, where, name string) {
	t.Helper()
	for _, r := range rooms {
		if r.path == name || matches(name, r.path) || matches(r.path, name) {
			return
		}
	}
	t.Errorf("%s names %s, which is no room", where, name)
}

// TestLayersRefuse shows that the table can say no.
func TestLayersRefuse(t *testing.T) {
	for _, row := range []struct {
		name, imported string
		test, allowed  bool
	}{
		{"media/hub", "camrelay/media/codec", false, false},
		{"media/hls", "camrelay/media/rtspd", false, false},
		{"media/rtmp", "camrelay/media/mediatest", false, false},
		{"media/rtmp", "camrelay/media/mediatest", true, true},
		{"media/fmp4", "camrelay/media/hub", false, false},
		{"media/camera", "camrelay/daemon/config", false, false},
		{"daemon/relay", "camrelay/daemon/api", false, false},
		{"daemon/api", "camrelay/daemon/relay", false, true},
		{"daemon", "camrelay/hal/led", false, true},
		{"hal/led", "camrelay/media", false, false},
		{"hal/led", "golang.org/x/sys/unix", false, true},
		{"media/fmp4", "C", false, false},
		{"media/srt", "C", false, true},
		{"media/srt", "github.com/haivision/srtgo", false, true},
		{"media/audio", "C", false, true},
		{"media/feed", "github.com/gen2brain/aac-go/aacenc", false, false},
		{"daemon", "github.com/haivision/srtgo", false, false},
		{"media/hls", "github.com/Eyevinn/mp4ff/mp4", true, true},
		{"media/hls", "github.com/Eyevinn/mp4ff/mp4", false, false},
		{"media", "example.org/unknown", false, false},
		{"media", "net/http", false, true},
	} {
		r, ok := findRoom(row.name)
		if !ok {
			t.Fatalf("%s is no room", row.name)
		}
		if why := refuse(r, row.name, row.imported, row.test); (why == "") != row.allowed {
			t.Errorf("%s imports %s (test %v): %q", row.name, row.imported, row.test, why)
		}
	}
	if _, ok := findRoom("media/whip"); ok {
		t.Error("a package without a line has a room")
	}
}
