package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/platform"
)

// warnings says what the platform of a push will not like in what the camera
// sends. mu is held.
func (p *pushes) warnings(m *push, now time.Time) []string {
	path := p.relay.Path(m.spec.camera)
	if path == nil {
		return nil
	}
	tracks, _ := path.Stream().Tracks()
	stats := path.Stream().Meter.Stats(now)
	f := platform.Facts{
		Scheme: m.inUse().scheme, Known: len(tracks) > 0, Bitrate: stats.Bitrate, FrameRate: stats.FrameRate,
		KeyInterval: stats.KeyInterval,
	}
	for _, t := range tracks {
		switch {
		case t.Kind == media.KindVideo && f.Video == media.CodecUnknown:
			f.Video, f.Height, f.Reorder = t.Codec, t.Height, t.Reorder
		case t.Kind == media.KindAudio && f.Audio == media.CodecUnknown:
			f.Audio = t.Codec
		}
	}
	f.Audio = soundOf(m.spec.audio, m.terms.platform, f.Audio)
	return platform.Check(string(m.terms.platform), f)
}

// soundOf returns what a platform gets of a camera's sound.
func soundOf(mode config.Audio, name config.Platform, camera media.Codec) media.Codec {
	switch {
	case mode == config.AudioDrop:
		return media.CodecUnknown
	case mode == config.AudioPass:
		return camera
	case mode == config.AudioSilent, platform.NeedsSound(string(name)):
		return media.CodecAAC
	case camera == media.CodecUnknown, camera == media.CodecOpus:
		return media.CodecUnknown // nothing can be made of it
	}
	return media.CodecAAC
}

// Advice says what the platforms of pushes will not like in what their cameras
// send, as far as a daemon that runs on this box with that runtime directory
// knows the cameras. The error tells that there is none, or that it does not
// answer strangers.
func Advice(ctx context.Context, cfg *config.Config, runtimeDir string) ([]string, error) {
	socket := cfg.API.Socket
	if socket == "" {
		return nil, errors.New("the API has no socket")
	}
	if !filepath.IsAbs(socket) {
		socket = filepath.Join(runtimeDir, socket)
	}
	var st api.Status
	if err := api.Ask(ctx, socket, "/v1/status", &st); err != nil {
		return nil, err
	}
	var all []string
	for name, push := range cfg.Pushes {
		i := slices.IndexFunc(st.Cameras, func(c api.CameraStatus) bool { return c.Name == push.Camera })
		if i < 0 || !push.Enabled {
			continue
		}
		facts := factsOf(st.Cameras[i], pushOf(push, "", ""))
		for _, text := range platform.Check(string(push.Platform), facts) {
			all = append(all, fmt.Sprintf("push %s: %s", name, text))
		}
	}
	slices.Sort(all)
	return all, nil
}

// factsOf is what a push would send of a camera.
func factsOf(c api.CameraStatus, push pushPlan) platform.Facts {
	f := platform.Facts{
		Scheme: push.spec.target.scheme, Known: len(c.Tracks) > 0, Bitrate: float64(c.BitrateKbits) * 1000,
		FrameRate: c.FrameRate, KeyInterval: time.Duration(c.KeyInterval * float64(time.Second)),
	}
	for _, t := range c.Tracks {
		codec, _ := media.ParseCodec(t.Codec)
		switch {
		case t.Kind == media.KindVideo.String() && f.Video == media.CodecUnknown:
			f.Video, f.Height, f.Reorder = codec, t.Height, t.Reorder
		case t.Kind == media.KindAudio.String() && f.Audio == media.CodecUnknown:
			f.Audio = codec
		}
	}
	f.Audio = soundOf(push.spec.audio, push.terms.platform, f.Audio)
	return f
}
