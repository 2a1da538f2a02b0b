package config

import "slices"

// Audio is what becomes of a camera's sound in an output.
type Audio string

// The values of audio.
const (
	AudioAuto      Audio = "auto"      // what the output cannot carry becomes what it can; silence where it needs sound
	AudioPass      Audio = "pass"      // as it is, or none
	AudioSilent    Audio = "silent"    // silence in place of the camera's
	AudioTranscode Audio = "transcode" // AAC, whatever the camera sends
	AudioDrop      Audio = "drop"      // none
)

// audioModes are the words of audio.
var audioModes = []Audio{AudioAuto, AudioPass, AudioSilent, AudioTranscode, AudioDrop}

// Outputs says which protocols serve a camera to viewers. It is comparable.
type Outputs struct {
	RTSP, HLS, DASH, MPEGTS, FLV, RTMP, SRT bool
	Images                                  bool // key frame and snapshot
}

// allOutputs is what a camera has that says nothing.
var allOutputs = Outputs{true, true, true, true, true, true, true, true}

// switches are the keys of a camera that turn its outputs on and off.
func (o *Outputs) switches() map[string]*bool {
	return map[string]*bool{
		"rtsp": &o.RTSP, "hls": &o.HLS, "dash": &o.DASH, "mpegts": &o.MPEGTS, "flv": &o.FLV, "rtmp": &o.RTMP,
		"srt": &o.SRT, "images": &o.Images,
	}
}

// SwitchOf returns the key of a camera that turns a protocol on and off.
func SwitchOf(protocol string) string {
	if protocol == "still" {
		return "images"
	}
	return protocol
}

// Serves tells whether viewers may have the camera by the protocol, as
// hub.Request names it. Protocols without a switch are served.
func (o Outputs) Serves(protocol string) bool {
	on, ok := o.switches()[SwitchOf(protocol)]
	return !ok || *on
}

// snapshotURL takes the URL of a camera's own JPEG.
func snapshotURL(dst *string) func(value) {
	return func(v value) {
		u, raw := v.url("http", "https")
		if u == nil {
			return
		}
		if u.User != nil {
			v.fail("holds a user name", "the camera's username and password are used")
			return
		}
		*dst = raw
	}
}

// ladder takes the other renditions of a camera.
func (d *decoder) ladder(name string) func(value) {
	return func(v value) {
		all := []string{}
		for _, item := range v.items() {
			s, ok := item.text()
			switch {
			case !ok:
			case slices.Contains(all, s):
				item.failf("%s is named twice", shorten(s))
			default:
				all = append(all, s)
				d.at[item.key] = item
				d.renditions = append(d.renditions, item)
			}
		}
		if !slices.Contains(all, name) {
			all = slices.Insert(all, 0, name)
		}
		d.cfg.Ladders[name] = all
	}
}

// checkLadders checks what ladders say of cameras, and gives those with a sub
// stream theirs.
func (d *decoder) checkLadders() {
	for name, cam := range d.cfg.Cameras {
		if _, ok := d.cfg.Ladders[cam.SubOf]; !ok && cam.SubOf != "" {
			d.cfg.Ladders[cam.SubOf] = []string{cam.SubOf, name}
		}
	}
	for _, v := range d.renditions {
		if s, ok := v.text(); ok {
			d.known(v.key, s)
		}
	}
	for name, all := range d.cfg.Ladders {
		if len(all) < 2 {
			delete(d.cfg.Ladders, name)
		}
	}
}
