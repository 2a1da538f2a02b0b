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

	"camrelay/media"
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
	RTSP     Listener
	HTTP     Listener // viewers: page and HLS
	RTMP     Listener // of playing; not acted on yet
	SRT      Listener // of playing; not acted on yet
	API      API
	Metrics  Listener // not acted on yet
	HLS      HLS
	Defaults Defaults
	Cameras  map[string]Camera // by path; the sub stream of gate is gate_sub
	Pushes   map[string]Push

	Keepalives   map[string]Keepalive
	Hooks        map[string]Hook // by HookNotFound and the like
	Users        []User          // in order of place
	Terminate    Terminate
	StalledAfter time.Duration // a session or camera without media for so long is not alive

	// Warnings is what is allowed but hardly meant, in order of place.
	Warnings Errors
}

// View is who may watch.
type View string

// The values of access.view.
const (
	ViewClosed View = "closed" // users and tokens
	ViewOpen   View = "open"   // anyone who reaches the port
)

// Access is the section access.
type Access struct{ View View }

// Listener is a server's address.
type Listener struct {
	Listen string // host:port; empty: the server is off
}

// API is the section api.
type API struct {
	Listen string // host:port; empty: off
	Socket string // absolute, or relative to the runtime directory; empty: off
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

// Transport is how RTP comes from a camera.
type Transport string

// The values of transport.
const (
	TransportAuto Transport = "auto"
	TransportTCP  Transport = "tcp"
	TransportUDP  Transport = "udp"
)

// Defaults is the section defaults: what cameras take where they say nothing.
type Defaults struct {
	Transport    Transport
	Keep         Keep
	Schedule     Schedule      // of KeepHours
	IdleAfter    time.Duration // a camera is closed so long after its last reader
	OnIdle       OnIdle        // IdleAsk if there is a hook to ask, else IdleClose
	StartTimeout time.Duration // so long a reader waits for a camera
}

// Camera is one stream of a camera. It is comparable.
type Camera struct {
	Title        string
	URL          string // rtsp or rtsps, without user info
	Username     string
	Password     media.Secret
	Transport    Transport
	Keep         Keep
	Schedule     Schedule // of KeepHours
	IdleAfter    time.Duration
	OnIdle       OnIdle
	StartTimeout time.Duration
	TLS          TLS
	HLS          bool   // packaged at all; section hls says when
	MaxViewers   int    // more are refused; 0: any number
	SubOf        string // path of the main stream, empty if this is one
}

// TLS is how the certificate of an rtsps camera or an rtmps server is judged. The zero value asks
// for a certificate that the box trusts.
type TLS struct {
	Fingerprint string // SHA-256 of the certificate, 64 digits, lower case; empty: none is pinned
	Insecure    bool   // any certificate will do
}

// Push is one push. It is comparable.
type Push struct {
	Camera  string // key of Cameras
	URL     string // rtmp, rtmps or srt, without what the fields below hold
	Enabled bool
	Demand  bool          // starts and holds its camera
	Limit   int           // attempts in a row, 0 = for ever
	Timeout time.Duration // of connecting, and of a stalled write

	App string       // RTMP: application; empty: all of the URL's path before the last element
	Key media.Secret // RTMP: stream key; empty: the last element of the URL's path
	TLS TLS          // rtmps

	StreamID   media.Secret  // SRT; up to 512 bytes; often holds a token
	Passphrase media.Secret  // SRT; 10 to 79 bytes or empty
	PBKeyLen   int           // SRT; 0 (the peer's), 16, 24 or 32 bytes
	Latency    time.Duration // SRT
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
		Access: Access{View: ViewClosed},
		RTSP:   Listener{":8554"},
		HTTP:   Listener{":8888"},
		API:    API{Listen: "127.0.0.1:9997", Socket: "api.sock"},
		HLS: HLS{
			Mode: ModeAlways, Segment: 2 * time.Second, Part: 400 * time.Millisecond,
			Window: 14 * time.Second, Budget: 256 << 20,
		},
		Defaults: Defaults{
			Transport: TransportAuto, Keep: KeepWarm, IdleAfter: 20 * time.Second, OnIdle: IdleClose,
			StartTimeout: 10 * time.Second,
		},
		Cameras:      make(map[string]Camera),
		Pushes:       make(map[string]Push),
		Keepalives:   make(map[string]Keepalive),
		Hooks:        make(map[string]Hook),
		Terminate:    Terminate{HoldOff: time.Minute},
		StalledAfter: 10 * time.Second,
	}
}

// newPush returns a push as it is before its keys are read.
func newPush() Push {
	return Push{Enabled: true, Demand: true, Timeout: 10 * time.Second, Latency: 200 * time.Millisecond}
}

// newCamera returns a camera as it is before its keys are read.
func newCamera(d Defaults) Camera {
	return Camera{
		Transport: d.Transport, Keep: d.Keep, Schedule: d.Schedule, IdleAfter: d.IdleAfter, OnIdle: d.OnIdle,
		StartTimeout: d.StartTimeout, HLS: true,
	}
}
