package daemon

import (
	"fmt"
	"strings"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/audio"
	"camrelay/media/flv"
)

// switchedOff tells people which key switches an output off.
func switchedOff(p *plan, camera, protocol string) string {
	c, key := p.named[camera], config.SwitchOf(protocol)
	switch {
	case c.Outputs.Serves(protocol): // so it is off for all
		return fmt.Sprintf("this output is switched off: %s.mode", key)
	case c.SubOf != "":
		return fmt.Sprintf("this output is switched off: cameras.%s.sub.%s", c.SubOf, key)
	}
	return fmt.Sprintf("this output is switched off: cameras.%s.%s", camera, key)
}

// carried says what a protocol makes of sound for each viewer, and of what
// container that is: none if it makes nothing. RTSP passes on what the camera
// sends or leaves it out; what is packaged is packaged for all.
func carried(protocol string, policy config.Audio) (mode audio.Mode, container string) {
	mode = audio.Mode{Policy: audio.Policy(policy)}
	switch protocol {
	case "rtmp", "flv":
		return mode, "FLV"
	case "srt", "mpegts":
		mode.Opus = true
		return mode, "MPEG-TS"
	case "rtsp":
		return passed(policy), "RTP"
	}
	return mode, ""
}

// soundless tells people why a camera's sound is left out, empty if it is not.
func soundless(st audio.State, container string) string {
	if st.In == "" || st.Out != "" || st.Reason == "" {
		return ""
	}
	takes := "AAC alone"
	if st.Mode.Opus {
		takes = "AAC and Opus alone"
	}
	return fmt.Sprintf("audio left out: %s takes %s, and %s", container, takes,
		strings.TrimSuffix(st.Reason, ", so there is none"))
}

// outputsOf tells by what a camera may be watched, and what of it is left out
// there.
func (s *servers) outputsOf(camera string) []api.OutputStatus {
	var tracks []*media.Track
	if path := s.d.relay.Path(camera); path != nil {
		tracks, _ = path.Stream().Tracks()
	}
	listens := s.listeners()
	var all []api.OutputStatus
	for _, protocol := range []string{"hls", "dash", "rtsp", "rtmp", "srt", "mpegts", "flv", "images"} {
		out := api.OutputStatus{Protocol: protocol, On: s.serves(camera, protocol)}
		switch server := serverOf(protocol); {
		case !out.On:
			out.Note = switchedOff(s.d.current.Load(), camera, protocol)
		case listens[server] == "" && listens[server+"s"] == "":
			out.On, out.Note = false, server+" does not listen"
		default:
			out.Note = strings.Join(missing(tracks, protocol, s.audioOf(camera)), "; ")
		}
		all = append(all, out)
	}
	return all
}

// serverOf is the listener of a protocol.
func serverOf(protocol string) string {
	switch protocol {
	case "rtsp", "rtmp", "srt":
		return protocol
	}
	return "http"
}

// missing tells what of the tracks viewers by a protocol do not get, or may not be
// able to play.
func missing(tracks []*media.Track, protocol string, policy config.Audio) (all []string) {
	mode, container := carried(protocol, policy)
	if container != "" && container != "RTP" {
		if why := soundless(audio.Expect(tracks, mode), container); why != "" {
			all = append(all, why)
		}
	}
	for _, t := range tracks {
		switch {
		case t.Codec != media.CodecH265:
		case protocol == "flv":
			all = append(all, flv.EnhancedNote)
		case protocol == "rtmp":
			all = append(all, "H.265 is played to those alone who offer Enhanced RTMP")
		}
	}
	return all
}
