package api

import (
	"net/http"
	"runtime"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/relay"
	"camrelay/daemon/session"
	"camrelay/daemon/supervise"
	"camrelay/daemon/webhook"
	"camrelay/media"
)

// Status is the answer of /v1/status.
type Status struct {
	Version string  `json:"version"`
	Uptime  float64 `json:"uptime_seconds"`
	// Goroutines is how many there are in the process.
	Goroutines int          `json:"goroutines"`
	Config     ConfigStatus `json:"config"`
	// Listeners maps each server that runs to the address it is bound to.
	Listeners map[string]string `json:"listeners"`
	// Hooks maps each hook of the configuration to how it goes with it.
	Hooks     map[string]webhook.Status `json:"hooks"`
	Cameras   []CameraStatus            `json:"cameras"`
	Pushes    []PushStatus              `json:"pushes"`
	Viewers   []ViewerStatus            `json:"viewers"`
	Keepalive KeepaliveStatus           `json:"keepalives"`
	Box       *BoxStatus                `json:"box"` // null: nothing is known of it yet
}

// RunStatus is what cameras and pushes have in common: the supervisor's state.
type RunStatus struct {
	State       string            `json:"state"` // idle, starting, active, reconnecting, failed, stopped
	Since       time.Time         `json:"since"`
	Reason      string            `json:"reason"` // why it is not active, or was not last time
	Attempt     int               `json:"attempt"`
	NextRetryAt *time.Time        `json:"next_retry_at"`
	Transitions []TransitionEntry `json:"transitions"` // the last 20, oldest first
}

// TransitionEntry is one change of state.
type TransitionEntry struct {
	At     time.Time `json:"at"`
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
}

// CameraStatus is one camera.
type CameraStatus struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	RunStatus
	Health        HealthStatus  `json:"health"`
	Why           string        `json:"why"`     // it runs or not, in a line
	Stopped       *StopStatus   `json:"stopped"` // null: nobody has
	Tracks        []TrackStatus `json:"tracks"`
	Bytes         uint64        `json:"bytes"`
	BitrateKbits  int           `json:"bitrate_kbits"` // over 5 s
	FrameRate     float64       `json:"frame_rate"`    // over 5 s
	KeyInterval   float64       `json:"key_interval_seconds"`
	Lost          uint64        `json:"packets_lost"`
	LastPacketAge *float64      `json:"last_packet_age_seconds"`
	LastKeyAge    *float64      `json:"last_key_age_seconds"`
	Demand        []DemandEntry `json:"demand"`
	Pushes        []PushStatus  `json:"pushes"` // by name
	HLS           *HLSStatus    `json:"hls"`    // null: nothing is packaged

	Outputs []OutputStatus `json:"outputs"`
}

// OutputStatus is a protocol by which a camera may be watched.
type OutputStatus struct {
	Protocol string `json:"protocol"` // as the camera's key that switches it: hls, dash, rtsp, …
	On       bool   `json:"on"`
	Note     string `json:"note"` // why it is off, or what is left out; empty: nothing
}

// HLSStatus is what is packaged of a camera for HLS and DASH.
type HLSStatus struct {
	Segments        int      `json:"segments"` // on the tmpfs
	Bytes           int64    `json:"bytes"`    // there
	Sequence        uint64   `json:"media_sequence"`
	TargetDuration  float64  `json:"target_duration_seconds"` // 0 until it is fixed
	PartTarget      float64  `json:"part_target_seconds"`     // 0 until it is fixed
	Bandwidth       int      `json:"bandwidth_bits"`          // peak, per second
	Gaps            uint64   `json:"gaps"`                    // segments that could not be written
	Discontinuities uint64   `json:"discontinuities"`
	Lost            uint64   `json:"units_lost"` // by being slow
	Error           string   `json:"error"`      // why the newest segment could not be written; empty if it could
	Warnings        []string `json:"warnings"`   // what of the camera does not fit the settings
}

// TrackStatus is one track.
type TrackStatus struct {
	Kind       string  `json:"kind"`
	Codec      string  `json:"codec"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"declared_frame_rate,omitempty"`
	SampleRate int     `json:"sample_rate,omitempty"`
	Channels   int     `json:"channels,omitempty"`
	Reorder    bool    `json:"b_frames,omitempty"`
}

// DemandEntry is one claim in the ledger that says why a camera runs.
type DemandEntry struct {
	ID     string    `json:"id"` // of the session, keepalive or push
	Kind   string    `json:"kind"`
	By     string    `json:"by"`
	Starts bool      `json:"starts"`
	Holds  bool      `json:"holds"`
	Since  time.Time `json:"since"`
}

// ViewerStatus is one viewer.
type ViewerStatus struct {
	ID        string    `json:"session_id"`
	Protocol  string    `json:"protocol"`
	Path      string    `json:"path"`
	Remote    string    `json:"remote_addr"`
	UserAgent string    `json:"user_agent"`
	User      string    `json:"user"`
	Start     time.Time `json:"start_time"`
	Uptime    float64   `json:"uptime_seconds"`
	Bytes     uint64    `json:"wrote_bytes_sum"`
}

func (s server) status(w http.ResponseWriter, r *http.Request) {
	now, who := time.Now(), auth.FromContext(r.Context())
	st := Status{
		Version: s.Version, Uptime: now.Sub(s.Started).Seconds(), Goroutines: runtime.NumGoroutine(),
		Config: s.Config.Config().shownTo(who), Listeners: s.Listeners(),
		Hooks:   map[string]webhook.Status{},
		Cameras: itemsOf(s.paths(r), func(p *relay.Path) CameraStatus { return s.cameraStatus(p, now) }),
		Pushes:  s.pushStatuses(who), Viewers: []ViewerStatus{},
		Keepalive: s.keepaliveStatus(),
	}
	if who.MayViewAll() { // what is asked of a hook is about any camera
		st.Hooks = s.Hooks()
	}
	if s.Box != nil {
		st.Box = s.Box()
	}
	for _, v := range s.Sessions.List() {
		if v.Kind == session.Viewer && who.MayView(v.Path) {
			_, wrote := v.Counts()
			st.Viewers = append(st.Viewers, ViewerStatus{
				ID: v.ID, Protocol: v.Protocol, Path: v.Path, Remote: v.Remote, UserAgent: v.UserAgent,
				User: v.User, Start: v.Start, Uptime: now.Sub(v.Start).Seconds(), Bytes: wrote,
			})
		}
	}
	writeJSON(w, http.StatusOK, st)
}

func (s server) cameraStatus(p *relay.Path, now time.Time) CameraStatus {
	stats, d := p.Stream().Meter.Stats(now), p.Demand()
	health, _ := p.Health()
	c := CameraStatus{
		Name: p.Name(), Title: p.Policy().Title, RunStatus: runStatus(p.State()),
		Health: healthStatus(health), Why: d.Why, Stopped: stopStatus(d.Stop),
		Tracks: []TrackStatus{}, Outputs: []OutputStatus{}, Demand: demandEntries(d.Claims), Pushes: []PushStatus{},
		Bytes: stats.Bytes, BitrateKbits: int(stats.Bitrate / 1000), FrameRate: stats.FrameRate,
		KeyInterval: stats.KeyInterval.Seconds(), Lost: stats.Lost,
		LastPacketAge: age(stats.LastPacket, now), LastKeyAge: age(stats.LastKey, now),
	}
	tracks, _ := p.Stream().Tracks()
	for _, t := range tracks {
		c.Tracks = append(c.Tracks, TrackOf(t))
	}
	for _, push := range s.Pushes() {
		if push.Camera == p.Name() {
			c.Pushes = append(c.Pushes, s.pushStatus(push))
		}
	}
	if s.HLS != nil {
		c.HLS = s.HLS(p.Name())
	}
	if s.Outputs != nil {
		c.Outputs = s.Outputs(p.Name())
	}
	return c
}

// TrackOf tells of a track.
func TrackOf(t *media.Track) TrackStatus {
	return TrackStatus{
		Kind: t.Kind.String(), Codec: t.Codec.String(), Width: t.Width, Height: t.Height,
		FrameRate: t.FrameRate, SampleRate: t.SampleRate, Channels: t.Channels, Reorder: t.Reorder,
	}
}

func runStatus(st supervise.State) RunStatus {
	r := RunStatus{
		State: string(st.Phase), Since: st.Since, Reason: st.Reason, Attempt: st.Attempt,
		NextRetryAt: timeOrNil(st.NextRetry), Transitions: []TransitionEntry{},
	}
	for _, t := range st.Transitions {
		r.Transitions = append(r.Transitions, TransitionEntry{At: t.At, State: string(t.Phase), Reason: t.Reason})
	}
	return r
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// age returns the seconds since t, nil if t is zero.
func age(t, now time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	a := now.Sub(t).Seconds()
	return &a
}
