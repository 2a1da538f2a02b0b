package metrics

import (
	"time"

	"camrelay/media"
)

// Snapshot is how everything is at one time. Names are those of the
// configuration and differ within a list.
type Snapshot struct {
	Cameras    []Camera
	Pushes     []Push
	Hooks      []Hook
	Listeners  map[string]bool // that are configured, by name: it is bound
	Keepalives map[string]int  // by state
	Viewers    map[string]int  // by protocol, all of them
	// RuntimePaths is how many paths the API or a hook has added. Which is not told.
	RuntimePaths int
	Config       Config
	Memory       Memory
	Box          Box
}

// Box is how the hardware is.
type Box struct {
	Conditions  []string // of BoxConditions
	Celsius     float64  // of the hottest sensor, 0 if there is none
	MemoryLevel int      // 0 plenty to 3 empty
	Pressure    float64  // share of time, 0 to 1, in which work waits for memory
	Synced      *bool    // the clock is; nil: not known
	ClockSteps  uint64   // how often it was set
	LinksUp     int
}

// BoxConditions are the values of the label condition of the box.
func BoxConditions() []string {
	return []string{
		"too_hot", "hot", "throttled", "under_voltage", "under_voltage_seen", "on_battery", "memory_short",
		"memory_scarce", "memory_empty", "no_link", "half_duplex", "slow_link", "clock_wrong", "clock_not_synced",
		"not_in_memory", "runtime_read_only", "runtime_full", "watchdog_reset", "sensor_hung",
	}
}

// Failures counts runs that have ended and were or will be tried again, by the
// class of why. It never falls.
type Failures [media.Classes]uint64

// Camera is one camera of the configuration.
type Camera struct {
	Name       string
	State      string   // one of CameraStates
	Conditions []string // of CameraConditions
	Wanted     bool     // it is kept connected, or tried to
	Up         bool     // media arrives
	Warm       bool

	LastPacket, LastKey time.Time // zero: none yet
	KeyInterval         time.Duration
	Received            uint64 // RTP bytes
	Packets, Lost       uint64
	Frames, Keys        uint64
	Failures            Failures
	Panics              int
	Sent                uint64 // bytes to viewers
	Viewers             int

	HLS HLS
}

// HLS is what is packaged of one camera. The zero value is nothing.
type HLS struct {
	Bytes                       int64 // on the tmpfs
	Gaps, Discontinuities, Lost uint64
}

// Push is one push.
type Push struct {
	Name, Camera, Protocol string
	State                  string // one of PushStates
	OnBackup               bool
	Bytes, Frames, Lost    uint64
	LastSent               time.Time     // zero: never
	RTT                    time.Duration // of the running session, 0 if unknown
	Failures               Failures
	Panics                 int
}

// Hook is one hook of the configuration.
type Hook struct {
	Name                       string
	Delivered, Failed, Dropped uint64
	Degraded                   bool // the last call failed
}

// Config is how it stands with the files.
type Config struct {
	State      string // one of ConfigStates
	Generation int
	Hash       string    // of what runs
	Applied    time.Time // zero: never
	Errors     int       // in the files as they are now
	Warnings   int
	Problems   int // of what was applied and does not work
}

// Memory is the tmpfs that segments lie on.
type Memory struct{ Budget, Free int64 } // bytes

// Protocols are the values of the label protocol of viewers.
func Protocols() []string {
	return []string{"rtsp", "hls", "dash", "rtmp", "srt", "ts", "flv", "still", other}
}

const other = "other"

// CameraStates are the values of the label state of cameras.
func CameraStates() []string {
	return []string{"warm", "degraded", "stalled", "idle", "starting", "reconnecting", "failed", "stopped"}
}

// CameraConditions are the values of the label condition.
func CameraConditions() []string {
	return []string{"offline", "stalled", "frozen_timestamps", "no_key_frame", "missing_video", "missing_audio"}
}

// PushStates are the values of the label state of pushes.
func PushStates() []string {
	return []string{"idle", "starting", "active", "reconnecting", "failed", "stopped"}
}

// ConfigStates are the values of the label state of the configuration.
func ConfigStates() []string {
	return []string{"applied", "partial", "applying", "rejected", "rolled_back", "last_known_good"}
}

// KeepaliveStates are the values of the label state of keepalives.
func KeepaliveStates() []string { return []string{"waiting", "holding", "degraded", "expired"} }

// endings are the values of the label reason of viewers that have left.
func endings() []string { return []string{"peer_closed", "closed_by_us", "error"} }

// Refusals are the values of the label reason of viewers that got no stream.
func Refusals() []string {
	return []string{"not_found", "credentials", "forbidden", "unavailable", other}
}

// classes are the values of the label reason of failures.
func classes() []string {
	all := make([]string, media.Classes)
	for i := range all {
		all[i] = media.Class(i).String()
	}
	return all
}
