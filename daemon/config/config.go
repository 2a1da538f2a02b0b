// Package config is the file: its types, strict parsing of YAML 1.2 with drop-ins
// and secrets, defaults, and the checks across sections. It finds all mistakes
// at once, each with file, line and column. It starts nothing, watches nothing
// and decides nothing about what runs; daemon's plan does.
//
// Everything here may be called from any goroutine; a Config is not changed
// after it has been returned. No error text holds a secret or a URL's
// credentials, and excerpts mask every value that is not known to be harmless.
//
// # Why
//
// The tree of the YAML library is walked by tables of our own (key → setter)
// instead of being decoded into structs: the library stops at its first
// mistake, cannot suggest keys, and quotes lines with passwords in its errors.
// A table costs one line per key. Anchors, aliases, tags and several documents
// in a file are refused: nobody needs them here, and they hide what is in force.
package config

import (
	"time"
)

// Bounds of what is read.
const (
	maxFile   = 1 << 20 // bytes of one file
	maxDepth  = 32      // nested collections
	maxWidth  = 2048    // entries of one collection
	maxValues = 50_000  // keys and items of one file
)

// Config is the configuration with all defaults applied and all secrets
// resolved.
type Config struct {
	Version  int
	Access   Access
	RTSP     RTSP
	HTTP     HTTP     // viewers: page, HLS, DASH, MPEG-TS, FLV, images
	RTMP     Listener // of playing
	SRT      SRT      // of playing
	API      API
	Metrics  Listener // for Prometheus
	HLS      HLS
	Defaults Defaults
	Cameras  map[string]Camera   // by path; the sub stream of gate is gate_sub
	Ladders  map[string][]string // paths that are one playlist, by the path of that; two or more, in the order given
	Pushes   map[string]Push
	Files    map[string]string // file that names a push, by its name

	Keepalives   map[string]Keepalive
	Hooks        map[string]Hook // by HookNotFound and the like
	Users        []User          // in order of place
	Terminate    Terminate
	StalledAfter time.Duration // a session or camera without media for so long is not alive
	OnInvalid    OnInvalid
	Box          Box
	Confirm      time.Duration // an edit is reverted if cameras are not warm again after so long; 0: never

	// Warnings is what is allowed but hardly meant, in order of place.
	Warnings Errors
}

// OnInvalid is what a mistake in a drop-in means.
type OnInvalid string

// The values of on_invalid.
const (
	InvalidReject OnInvalid = "reject"    // the whole set is rejected
	InvalidSkip   OnInvalid = "skip_file" // the drop-in is left out
)

// View is who may watch.
type View string

// The values of access.view.
const (
	ViewClosed View = "closed" // users and tokens
	ViewOpen   View = "open"   // anyone who reaches the port
)

// Access is the section access.
type Access struct {
	View  View
	Hosts []string // names of the box besides its own, as requests for it show them
	RTSP  Proof
}

// Proof is how players show by RTSP who they are.
type Proof string

// The values of access.rtsp.
const (
	ProofAuto   Proof = "auto"   // digest too, if each password and token has its digest_hash
	ProofBasic  Proof = "basic"  // the password itself
	ProofDigest Proof = "digest" // never the password itself
)

// API is the section api.
type API struct {
	Listen string // host:port; empty: off
	Socket string // absolute, or relative to the runtime directory; empty: off
}

// Box is the section box. It is comparable.
type Box struct {
	LED string // name below /sys/class/leds; auto: the one for a status, if there is one; empty: none
	// Watchdog is the device that is fed directly, such as watchdog0; empty: none, the
	// service manager feeds the hardware.
	Watchdog string
}

// Mode is when HLS is packaged.
type Mode string

// The values of hls.mode.
const (
	ModeAlways   Mode = "always"   // while the camera runs
	ModeOnDemand Mode = "ondemand" // while somebody watches
	ModeOff      Mode = "off"
)

// HLS is the section hls.
type HLS struct {
	Mode            Mode
	Segment         time.Duration // aimed length of a segment
	Part            time.Duration // greatest length of a part
	Window          time.Duration // length of a playlist
	Budget          int64         // bytes of tmpfs for all cameras
	BudgetPerCamera int64         // bytes of tmpfs for one camera, ≤ Budget
}

// Keepalive is one keepalive that the file declares. It is comparable.
type Keepalive struct {
	Camera   string // key of Cameras
	Label    string // for people
	Priority int    // 0 to 100, the greater the more important
}

// Terminate is the section terminate.
type Terminate struct {
	HoldOff       time.Duration // so long a terminated camera stays stopped; 0: until it is wanted again
	EmptyMeansAll bool          // a filter without conditions ends everything
}

// standard returns the configuration of an empty file: the one place of
// defaults. A camera begins as standard's Defaults say, a push as newPush.
func standard() *Config {
	return &Config{
		Access:  Access{View: ViewClosed, RTSP: ProofAuto},
		RTSP:    RTSP{Listener: Listener{Listen: ":8554"}},
		HTTP:    HTTP{Listener: Listener{Listen: ":8888"}},
		RTMP:    Listener{Listen: ":1935"},
		SRT:     SRT{Listener: Listener{Listen: ":8890"}, Latency: defaultLatency},
		API:     API{Listen: "127.0.0.1:9997", Socket: "api.sock"},
		Metrics: Listener{Listen: "127.0.0.1:9998"},
		HLS: HLS{
			Mode: ModeAlways, Segment: 2 * time.Second, Part: 400 * time.Millisecond,
			Window: 14 * time.Second, Budget: 256 << 20,
		},
		Defaults: Defaults{
			Transport: TransportAuto, Keep: KeepWarm, IdleAfter: 20 * time.Second, OnIdle: IdleClose,
			StartTimeout: 10 * time.Second, Audio: AudioAuto,
		},
		Cameras:      make(map[string]Camera),
		Ladders:      make(map[string][]string),
		Pushes:       make(map[string]Push),
		Files:        make(map[string]string),
		Keepalives:   make(map[string]Keepalive),
		Hooks:        make(map[string]Hook),
		Terminate:    Terminate{HoldOff: time.Minute},
		StalledAfter: 10 * time.Second,
		Box:          Box{LED: "auto"},
		OnInvalid:    InvalidReject,
	}
}
