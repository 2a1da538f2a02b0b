package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"camrelay/daemon/api"
	"camrelay/media"
	"camrelay/media/camera"
	"camrelay/media/hub"
)

// ProbeOptions say which camera is to be looked at, and how.
type ProbeOptions struct {
	URL, Username string
	Password      media.Secret
	Transport     string // auto, tcp, udp
	Insecure      bool   // rtsps: take any certificate
	Timeout       time.Duration
}

// Probed is what a camera sends. Times are in seconds, from the start.
type Probed struct {
	URL          string            `json:"url"` // without secrets
	Tracks       []api.TrackStatus `json:"tracks"`
	FirstPacket  float64           `json:"first_packet_seconds"` // 0: none came
	FirstKey     float64           `json:"first_key_seconds"`    // 0: none came
	KeyInterval  float64           `json:"key_interval_seconds"` // 0: less than two came
	BitrateKbits int               `json:"bitrate_kbits"`
	FrameRate    float64           `json:"frame_rate"`
	Lost         uint64            `json:"packets_lost"`
	Bytes        uint64            `json:"bytes"`
}

// lookFor is how long a camera is looked at after its newest key frame, unless it
// sends enough of them before: the first may come in a burst from what it holds.
const (
	lookFor  = 5 * time.Second
	lookKeys = 3
)

// Probe reads a camera as the daemon would until some key frames have come. Its
// error, in the words that the status has for it, holds no secret; what had been
// found until then is returned with it.
func Probe(ctx context.Context, o ProbeOptions) (Probed, error) {
	found := Probed{URL: media.RedactURL(o.URL), Tracks: []api.TrackStatus{}}
	spec, err := specOf(media.Secret(o.URL))
	if err != nil {
		return found, err
	}
	if o.Username != "" {
		spec.Username, spec.Password = o.Username, o.Password
	}
	switch spec.Transport = camera.Transport(o.Transport); spec.Transport {
	case camera.Auto, camera.TCP, camera.UDP:
	default:
		return found, errors.New("transport is auto, tcp or udp")
	}
	spec.Insecure = o.Insecure
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	stream, start := hub.NewStream("probe"), time.Now()
	defer stream.Close()
	var ran error
	ended := make(chan struct{}) // closed once ran is there
	go func() {
		defer close(ended)
		ran = camera.Run(ctx, spec, camera.NewSplice(), stream, func() {}, slog.New(slog.DiscardHandler))
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			found.take(stream, start)
			if ran == nil || ctx.Err() != nil {
				ran = fmt.Errorf("no key frame within %v", o.Timeout)
			}
			return found, ran
		case <-tick.C:
		}
		found.take(stream, start)
		st := stream.Meter.Stats(time.Now())
		if st.Keys >= lookKeys || st.Keys > 0 && time.Since(st.LastKey) >= lookFor {
			cancel()
			<-ended // it takes leave of the camera
			return found, nil
		}
	}
}

// take notes what is known of a stream.
func (p *Probed) take(stream *hub.Stream, start time.Time) {
	now := time.Now()
	st := stream.Meter.Stats(now)
	if st.Packets > 0 && p.FirstPacket == 0 {
		p.FirstPacket = now.Sub(start).Seconds()
	}
	if st.Keys > 0 && p.FirstKey == 0 {
		p.FirstKey = now.Sub(start).Seconds()
	}
	p.KeyInterval, p.Lost, p.Bytes = st.KeyInterval.Seconds(), st.Lost, st.Bytes
	if took := now.Sub(start).Seconds() - p.FirstPacket; p.FirstPacket > 0 && took > 0.1 {
		p.BitrateKbits, p.FrameRate = int(float64(st.Bytes)*8/1000/took), float64(st.Frames)/took
	}
	tracks, _ := stream.Tracks()
	p.Tracks = make([]api.TrackStatus, 0, len(tracks))
	for _, t := range tracks {
		p.Tracks = append(p.Tracks, api.TrackOf(t))
	}
}
