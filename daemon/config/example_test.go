package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const shipped = "../../rootfs/etc/camrelay/camrelay.yaml"

// commented is a setting that is commented out: prose has one space behind the #.
var commented = regexp.MustCompile(`(?m)^#((?:  +)?(?:- )?[a-z_-]+:)`)

// TestShippedFile parses the file as it is laid on the box, and with every
// setting in it in force.
func TestShippedFile(t *testing.T) {
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, string(text))
	if len(cfg.Cameras) != 0 {
		t.Errorf("it names cameras as it is: %v", cfg.Cameras)
	}
	full := parse(t, string(commented.ReplaceAll(text, []byte("$1"))))
	if got := strings.Join(keysOf(full.Cameras), " "); got != "gate gate_sub yard" {
		t.Errorf("cameras %s", got)
	}
	if got := strings.Join(keysOf(full.Pushes), " "); got != "gate-live gate-up" {
		t.Errorf("pushes %s", got)
	}
	if got := len(full.Keepalives)*100 + len(full.Hooks)*10 + len(full.Users); got != 143 {
		t.Errorf("keepalives, hooks, users: %d", got)
	}
	for _, w := range full.Warnings {
		t.Errorf("warning: %v", w)
	}
	// What it shows as defaults are the defaults.
	cfg.Cameras, cfg.Pushes, cfg.Keepalives = full.Cameras, full.Pushes, full.Keepalives
	cfg.Ladders, cfg.Files = full.Ladders, full.Files
	cfg.Hooks, cfg.Users, cfg.Warnings = full.Hooks, full.Users, full.Warnings
	if !reflect.DeepEqual(cfg, full) {
		t.Errorf("the defaults are\n%+v, shown are\n%+v", cfg, full)
	}
}

// TestShippedFileIsComplete finds every key that this version acts on.
func TestShippedFileIsComplete(t *testing.T) {
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Collect(maps.Keys(hlsFields(&HLS{})))
	known = append(known, slices.Collect(maps.Keys(defaultsFields(&Defaults{})))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().cameraFields("", &Camera{}, nil)))...)
	f := newDecoder().pushFields("", &Push{})
	newDecoder().targetFields(f, &Target{}, nil, nil)
	known = append(known, slices.Collect(maps.Keys(f))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().rtspServer(&RTSP{})))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().hooks()))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().hookFields(HookEvents, &Hook{})))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().hookFields(HookKeepalive, &Hook{})))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().hookTLS("", &TLS{})))...)
	known = append(known, slices.Collect(maps.Keys(newDecoder().userFields(0, &User{})))...)
	known = append(known, slices.Collect(maps.Keys(keepaliveFields(&Keepalive{})))...)
	known = append(known, slices.Collect(maps.Keys(terminateFields(&Terminate{})))...)
	for _, key := range known {
		if !strings.Contains(string(text), key+":") && !strings.Contains(string(text), key+" ") &&
			!strings.Contains(string(text), key+",") {
			t.Errorf("%s is not in it", key)
		}
	}
}

func ExampleFormat() {
	_, err := Parse("camrelay.yaml", []byte(`version: 1
cameras:
  gate:
    url: rtsp://10.20.0.11/Streaming/Channels/101
    pasword: s3cret
    transport: tpc
`))
	fmt.Print(Format(err, false))
	// Output:
	// camrelay.yaml:5:5 error cameras.gate: unknown key "pasword" (did you mean "password"?)
	//     5 |     pasword: ***
	//             ^
	// camrelay.yaml:6:16 error cameras.gate.transport: unknown value "tpc", want auto, tcp or udp (did you mean "tcp"?)
	//     6 |     transport: tpc
	//                        ^
}
