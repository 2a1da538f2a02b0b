package metrics

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// family is one metric of a thing: of a camera, a push and so on.
type family[T any] struct {
	name, help string
	counter    bool
	// label and values make a series of each value; without them there is one.
	label  string
	values []string
	// of returns the value of the series, i is its place in values.
	of func(t *T, i int) float64
}

// kind returns what a family is to the library.
func (f *family[T]) kind() prometheus.ValueType {
	if f.counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stamp is a time in seconds of the epoch, 0 if there is none.
func stamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

const notYet = " 0 if none has yet."

func cameraFamilies() []family[Camera] {
	states, conditions := CameraStates(), CameraConditions()
	return []family[Camera]{
		{
			name: "up", help: "Whether media arrives from the camera.",
			of: func(c *Camera, _ int) float64 { return truth(c.Up) },
		},
		{
			name: "warm", help: "Whether a viewer would have a picture at once: key frames keep arriving on every track.",
			of: func(c *Camera, _ int) float64 { return truth(c.Warm) },
		},
		{
			name: "wanted", help: "Whether the camera is to be connected now, by its policy or by somebody's demand.",
			of: func(c *Camera, _ int) float64 { return truth(c.Wanted) },
		},
		{
			name: "state", help: "The state of the camera: 1 for the one that it is in.", label: "state", values: states,
			of: func(c *Camera, i int) float64 { return truth(c.State == states[i]) },
		},
		{
			name: "condition", help: "What is wrong with the camera: 1 while it is so.",
			label: "condition", values: conditions,
			of: func(c *Camera, i int) float64 { return truth(slices.Contains(c.Conditions, conditions[i])) },
		},
		{
			name: "last_packet_timestamp_seconds", help: "When media came last." + notYet,
			of: func(c *Camera, _ int) float64 { return stamp(c.LastPacket) },
		},
		{
			name: "last_keyframe_timestamp_seconds", help: "When a key frame came last." + notYet,
			of: func(c *Camera, _ int) float64 { return stamp(c.LastKey) },
		},
		{
			name: "gop_seconds", help: "Time between the two newest key frames. 0 until there are two.",
			of: func(c *Camera, _ int) float64 { return c.KeyInterval.Seconds() },
		},
		{
			name: "received_bytes_total", help: "RTP bytes from the camera.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Received) },
		},
		{
			name: "rtp_packets_total", help: "RTP packets from the camera.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Packets) },
		},
		{
			name: "rtp_packets_lost_total", help: "RTP packets missing by their sequence numbers.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Lost) },
		},
		{
			name: "frames_total", help: "Pictures from the camera.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Frames) },
		},
		{
			name: "keyframes_total", help: "Key frames from the camera.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Keys) },
		},
		{
			name: "reconnects_total", help: "Connections, also attempted ones, that ended and are tried again, by why.",
			counter: true, label: "reason", values: classes(),
			of: func(c *Camera, i int) float64 { return float64(c.Failures[i]) },
		},
		{
			name: "panics_total", help: "Connections that ended by a mistake in camrelay.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Panics) },
		},
		{
			name: "sent_bytes_total", help: "Bytes of media sent to viewers of the camera.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.Sent) },
		},
		{
			name: "viewers", help: "Viewers that watch the camera now.",
			of: func(c *Camera, _ int) float64 { return float64(c.Viewers) },
		},
		{
			name: "hls_bytes", help: "Bytes of the camera's segments on the tmpfs.",
			of: func(c *Camera, _ int) float64 { return float64(c.HLS.Bytes) },
		},
		{
			name: "hls_gaps_total", help: "Segments that could not be written.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.HLS.Gaps) },
		},
		{
			name: "hls_discontinuities_total", help: "Discontinuities in the playlist.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.HLS.Discontinuities) },
		},
		{
			name: "hls_frames_dropped_total", help: "Frames that the packager missed by being slow.", counter: true,
			of: func(c *Camera, _ int) float64 { return float64(c.HLS.Lost) },
		},
	}
}

// grade is the value of camrelay_push_status.
func grade(state string) float64 {
	grades := map[string]float64{"failed": 0, "reconnecting": 1, "starting": 2, "active": 3}
	if g, ok := grades[state]; ok {
		return g
	}
	return -1
}

func pushFamilies() []family[Push] {
	states := PushStates()
	return []family[Push]{
		{
			name: "state", help: "The state of the push: 1 for the one that it is in.", label: "state", values: states,
			of: func(p *Push, i int) float64 { return truth(p.State == states[i]) },
		},
		{
			name: "status",
			help: "The state of the push as a number: 0 failed, 1 reconnecting, 2 starting, 3 active, -1 not wanted.",
			of:   func(p *Push, _ int) float64 { return grade(p.State) },
		},
		{
			name: "on_backup", help: "Whether the push goes to its backup.",
			of: func(p *Push, _ int) float64 { return truth(p.OnBackup) },
		},
		{
			name: "bytes_total", help: "Bytes that the push has sent.", counter: true,
			of: func(p *Push, _ int) float64 { return float64(p.Bytes) },
		},
		{
			name: "frames_total", help: "Frames of picture and sound that the push has sent.", counter: true,
			of: func(p *Push, _ int) float64 { return float64(p.Frames) },
		},
		{
			name: "frames_dropped_total", help: "Frames that the push has left out because its target was slow.", counter: true,
			of: func(p *Push, _ int) float64 { return float64(p.Lost) },
		},
		{
			name: "last_sent_timestamp_seconds", help: "When the push has sent media last." + notYet,
			of: func(p *Push, _ int) float64 { return stamp(p.LastSent) },
		},
		{
			name: "rtt_seconds", help: "Round trip time to the target. 0 while it is not known.",
			of: func(p *Push, _ int) float64 { return p.RTT.Seconds() },
		},
		{
			name: "reconnects_total", help: "Connections, also attempted ones, that ended and are tried again, by why.",
			counter: true, label: "reason", values: classes(),
			of: func(p *Push, i int) float64 { return float64(p.Failures[i]) },
		},
		{
			name: "panics_total", help: "Connections that ended by a mistake in camrelay.", counter: true,
			of: func(p *Push, _ int) float64 { return float64(p.Panics) },
		},
	}
}

func hookFamilies() []family[Hook] {
	return []family[Hook]{
		{
			name: "up", help: "Whether the last call of the hook succeeded, or none was made.",
			of: func(h *Hook, _ int) float64 { return truth(!h.Degraded) },
		},
		{
			name: "calls_total", help: "Calls of the hook.", counter: true, label: "result", values: []string{"ok", "failed"},
			of: func(h *Hook, i int) float64 { return float64([]uint64{h.Delivered, h.Failed}[i]) },
		},
		{
			name: "dropped_total", help: "Events that were never delivered, and calls that were left out.", counter: true,
			of: func(h *Hook, _ int) float64 { return float64(h.Dropped) },
		},
	}
}

// daemonFamilies are those of which there is one each.
func daemonFamilies() []family[Snapshot] {
	configs, keepalives, protocols := ConfigStates(), KeepaliveStates(), Protocols()
	return append(boxFamilies(), []family[Snapshot]{
		{
			name: "config_last_reload_successful",
			help: "Whether the files as they are now run, all of them.",
			of: func(s *Snapshot, _ int) float64 {
				return truth(s.Config.State == "applied" || s.Config.State == "applying")
			},
		},
		{
			name: "config_last_reload_success_timestamp_seconds", help: "When what runs was applied." + notYet,
			of: func(s *Snapshot, _ int) float64 { return stamp(s.Config.Applied) },
		},
		{
			name: "config_state", help: "What has become of the files: 1 for that.", label: "state", values: configs,
			of: func(s *Snapshot, i int) float64 { return truth(s.Config.State == configs[i]) },
		},
		{
			name: "config_generation", help: "Number of the configuration that runs.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Config.Generation) },
		},
		{
			name: "config_errors", help: "Mistakes in the files as they are now.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Config.Errors) },
		},
		{
			name: "config_warnings", help: "Warnings of the configuration that runs.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Config.Warnings) },
		},
		{
			name: "config_problems", help: "What was applied and does not work, such as a port in use.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Config.Problems) },
		},
		{
			name: "keepalives", help: "Keepalives by their state.", label: "state", values: keepalives,
			of: func(s *Snapshot, i int) float64 { return float64(s.Keepalives[keepalives[i]]) },
		},
		{
			name: "runtime_paths", help: "Paths that are in no file: added by the API or by a hook's answer.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.RuntimePaths) },
		},
		{
			name: "viewers", help: "Viewers now, those of paths that are in no file included.",
			label: "protocol", values: protocols,
			of: func(s *Snapshot, i int) float64 { return float64(s.Viewers[protocols[i]]) },
		},
		{
			name: "tmpfs_bytes", help: "Bytes of segments on the tmpfs.",
			of: func(s *Snapshot, _ int) float64 {
				var sum int64
				for i := range s.Cameras {
					sum += s.Cameras[i].HLS.Bytes
				}
				return float64(sum)
			},
		},
		{
			name: "tmpfs_budget_bytes", help: "Bytes that segments may take on the tmpfs.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Memory.Budget) },
		},
		{
			name: "tmpfs_free_bytes", help: "Bytes that are free on the tmpfs.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Memory.Free) },
		},
	}...)
}

// ProtocolOf is the value of the label protocol.
func ProtocolOf(name string) string {
	if name = strings.ToLower(name); slices.Contains(Protocols(), name) {
		return name
	}
	return other
}
