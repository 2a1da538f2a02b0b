// Package platform knows what public platforms demand of the streams that are
// pushed to them, and says in one sentence each what a camera does not meet and
// what to change. It is pure: it dials nobody, measures nothing and decides
// nothing; a push goes on whatever is said here. Everything in it may be called
// from any goroutine.
package platform

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"camrelay/media"
)

// demands is what one platform wants. Zero values mean that it does not matter.
type demands struct {
	title   string
	ingest  string   // URL of its servers, without the stream key; empty: everybody has another
	hosts   []string // ends of the names of its servers
	app     string   // first element of the path, of RTMP
	schemes []string
	hevc    []string // schemes by which it takes H.265
	keys    [2]time.Duration
	bframes string     // why they must not be; empty: they may
	rate    [2]float64 // bit/s
	height  int        // pixels at most
	sound   bool       // it refuses a stream without
}

// table is what the platforms say of themselves, and what broadcasters'
// programs know of them.
var table = map[string]demands{
	"youtube": {
		title: "YouTube", ingest: "rtmps://a.rtmps.youtube.com/live2", hosts: []string{".youtube.com"}, app: "live2",
		schemes: []string{"rtmps", "rtmp"}, hevc: []string{"rtmps"}, keys: [2]time.Duration{0, 4 * time.Second},
		rate: [2]float64{0, 51e6}, sound: true,
	},
	"twitch": {
		title: "Twitch", ingest: "rtmps://ingest.global-contribute.live-video.net/app",
		hosts: []string{".live-video.net", ".twitch.tv"}, app: "app", schemes: []string{"rtmps", "rtmp"},
		keys: [2]time.Duration{0, 2 * time.Second}, rate: [2]float64{0, 6e6}, height: 1080,
	},
	"facebook": {
		title: "Facebook", ingest: "rtmps://live-api-s.facebook.com/rtmp", hosts: []string{".facebook.com", ".fbcdn.net"},
		app: "rtmp", schemes: []string{"rtmps"}, keys: [2]time.Duration{0, 2 * time.Second},
		rate: [2]float64{0, 9e6}, height: 1080, sound: true,
	},
	"cloudflare": {
		title: "Cloudflare Stream", ingest: "rtmps://live.cloudflare.com/live", hosts: []string{".cloudflare.com"},
		app: "live", schemes: []string{"rtmps", "srt"}, keys: [2]time.Duration{2 * time.Second, 10 * time.Second},
		bframes: "delay the low-latency viewers of Cloudflare Stream", rate: [2]float64{2e6, 14e6},
	},
	"ivs": {
		title: "Amazon IVS", hosts: []string{".live-video.net"}, app: "app", schemes: []string{"rtmps", "srt"},
		keys: [2]time.Duration{0, 2 * time.Second}, bframes: "a real-time stage of Amazon IVS refuses",
		rate: [2]float64{0, 8.5e6}, height: 1080,
	},
	"mux": {
		title: "Mux", ingest: "rtmps://global-live.mux.com/app", hosts: []string{".mux.com"}, app: "app",
		schemes: []string{"rtmps", "rtmp", "srt"}, hevc: []string{"srt"}, keys: [2]time.Duration{0, 2 * time.Second},
		rate: [2]float64{0, 5e6}, height: 1080,
	},
}

// Ingest returns the URL of a platform's servers, to which a stream key
// belongs; empty if there is none that all its users share.
func Ingest(name string) string { return table[name].ingest }

// NeedsSound tells whether a platform refuses a stream without sound.
func NeedsSound(name string) bool { return table[name].sound }

// CheckURL says what of a push's URL does not look like the platform's. An
// unknown platform demands nothing. No part of the URL is quoted but its scheme
// and host.
func CheckURL(name string, u *url.URL) []string {
	d, known := table[name]
	if !known {
		return nil
	}
	var all []string
	if !slices.Contains(d.schemes, u.Scheme) {
		all = append(all, fmt.Sprintf("%s takes %s, not %s", d.title, strings.Join(d.schemes, " or "), u.Scheme))
	}
	host := "." + strings.ToLower(u.Hostname())
	if u.Hostname() != "" && !slices.ContainsFunc(d.hosts, func(end string) bool { return strings.HasSuffix(host, end) }) {
		all = append(all, fmt.Sprintf("%s is no server of %s: the names of those end in %s", u.Hostname(), d.title,
			strings.Join(d.hosts, " or ")))
		return all
	}
	app, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if strings.HasPrefix(u.Scheme, "rtmp") && app != d.app {
		all = append(all, fmt.Sprintf("the application of %s is %s: its URLs are %s://HOST/%s and the stream key",
			d.title, d.app, u.Scheme, d.app))
	}
	return all
}

// Facts is what a push sends, as far as it is known; the zero value of a field
// means that it is not.
type Facts struct {
	Scheme      string
	Known       bool        // the tracks are
	Video       media.Codec // CodecUnknown: none
	Audio       media.Codec // CodecUnknown: none
	Height      int         // pixels
	FrameRate   float64     // pictures per second
	KeyInterval time.Duration
	Bitrate     float64 // bit/s
	Reorder     bool    // B-frames
}

// Check says what of the facts the platform will not like, and what to change
// in the camera. An unknown platform likes everything.
func Check(name string, f Facts) []string {
	d, known := table[name]
	if !known || !f.Known {
		return nil
	}
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	d.checkVideo(f, say)
	d.checkSound(f, say)
	if most := d.rate[1]; most > 0 && f.Bitrate > most*1.1 {
		say("%s takes at most %s and the camera sends %s: lower its bit rate, or push its sub stream",
			d.title, mbits(most), mbits(f.Bitrate))
	}
	if least := d.rate[0]; f.Bitrate > 0 && f.Bitrate < least*0.9 {
		say("%s wants at least %s and the camera sends %s: raise its bit rate, or push its main stream",
			d.title, mbits(least), mbits(f.Bitrate))
	}
	return all
}

func (d demands) checkVideo(f Facts, say func(string, ...any)) {
	switch {
	case f.Video == media.CodecUnknown:
		say("%s wants a picture and the camera sends none: switch its video on", d.title)
		return
	case f.Video == media.CodecH265 && !slices.Contains(d.hevc, f.Scheme):
		other := ""
		if len(d.hevc) > 0 {
			other = ", or push by " + d.hevc[0]
		}
		say("%s does not take H.265 by %s: set the video encoding of the camera to H.264%s", d.title, f.Scheme, other)
	case f.Video != media.CodecH264 && f.Video != media.CodecH265:
		say("%s does not take %s: set the video encoding of the camera to H.264", d.title, f.Video)
	}
	if d.bframes != "" && f.Reorder {
		say("the camera sends B-frames, which %s: switch them off, or set the profile to Baseline", d.bframes)
	}
	if d.height > 0 && f.Height > d.height+8 { // 1088 lines are 1080
		say("%s takes pictures of at most %d lines and the camera sends %d: lower its resolution, or push its sub stream",
			d.title, d.height, f.Height)
	}
	d.checkKeys(f, say)
}

func (d demands) checkKeys(f Facts, say func(string, ...any)) {
	least, most, got := d.keys[0], d.keys[1], f.KeyInterval
	const tolerance = 200 * time.Millisecond
	var want time.Duration
	switch {
	case got == 0:
		return
	case most > 0 && got > most+tolerance:
		want = most
	case got < least-tolerance:
		want = least
	default:
		return
	}
	frames := ""
	if f.FrameRate > 0 {
		frames = fmt.Sprintf(", which is %.0f pictures", f.FrameRate*want.Seconds())
	}
	between := fmt.Sprintf("at most %v", most)
	if least > 0 {
		between = fmt.Sprintf("%v to %v", least, most)
	}
	say("%s wants %s between key frames and the camera sends one every %v: set its I-frame interval (GOP) to %v%s",
		d.title, between, got.Round(100*time.Millisecond), want, frames)
}

func (d demands) checkSound(f Facts, say func(string, ...any)) {
	switch {
	case f.Audio == media.CodecUnknown && d.sound:
		say("%s wants sound and gets none: switch the sound of the camera on (AAC), or set audio: silent", d.title)
	case f.Audio != media.CodecUnknown && f.Audio != media.CodecAAC:
		say("%s takes AAC and gets %s: set the audio encoding of the camera to AAC, or set audio: transcode", d.title,
			f.Audio)
	}
}

func mbits(rate float64) string { return fmt.Sprintf("%.3g Mbit/s", rate/1e6) }
