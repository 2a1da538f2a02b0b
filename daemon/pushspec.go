package daemon

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"camrelay/daemon/config"
	"camrelay/media"
	"camrelay/media/rtmp"
	"camrelay/media/rtspd"
	"camrelay/media/srt"
)

// pushPlan is one push as it is to be. It is comparable.
type pushPlan struct {
	spec  pushSpec
	terms pushTerms
}

// pushSpec is everything that, when it changes, reconnects a push.
type pushSpec struct {
	camera string
	target targetSpec // the primary
	audio  config.Audio
	off    bool // it is listed and does nothing
}

// pushTerms is what changes under a push that runs.
type pushTerms struct {
	limit    int // attempts, 0 for ever
	retry    time.Duration
	priority int
	demand   bool // the push starts and holds its camera
	comment  string
	platform config.Platform
	file     string // that names it; empty: the API

	backup   targetSpec // without a scheme there is none
	failures int        // see config.Backup
	after    time.Duration
	back     time.Duration
}

// targetSpec is where a push goes to.
type targetSpec struct {
	scheme string // key of targets
	shown  string // URL without secrets
	remote string // host:port
	rtmp   rtmp.Spec
	srt    srt.Spec
	rtsp   rtspd.PushSpec
}

// pushSpecs is what of the pushes reconnects.
func (p plan) pushSpecs() map[string]pushSpec { return specsOf(p.pushes) }

func specsOf(all map[string]pushPlan) map[string]pushSpec {
	specs := make(map[string]pushSpec, len(all))
	for name, p := range all {
		specs[name] = p.spec
	}
	return specs
}

// pushOf is pure. file names the push; version is what upstreams are told of
// this program.
func pushOf(p config.Push, file, version string) pushPlan {
	plan := pushPlan{
		spec: pushSpec{
			camera: p.Camera, audio: p.Audio, off: !p.Enabled, target: targetOf(p.Target, p.Timeout, version),
		},
		terms: pushTerms{
			limit: p.Limit, retry: p.Retry, priority: p.Priority, demand: p.Demand, comment: p.Comment,
			platform: p.Platform, file: file,
		},
	}
	if p.Backup.URL != "" {
		plan.terms.backup = targetOf(p.Backup.Target, p.Timeout, version)
		plan.terms.failures, plan.terms.after, plan.terms.back = p.Backup.Failures, p.Backup.After, p.Backup.Return
	}
	return plan
}

func targetOf(t config.Target, timeout time.Duration, version string) targetSpec {
	scheme, _, _ := strings.Cut(t.URL, "://")
	scheme = strings.ToLower(scheme)
	spec := targetSpec{scheme: scheme, shown: shownURL(t), remote: remoteOf(t.URL)}
	switch scheme {
	case "srt":
		spec.srt = srtOf(t, timeout)
	case "rtsp", "rtsps":
		spec.rtsp = rtspd.PushSpec{
			URL: t.URL, Username: t.Username, Password: t.Password, Timeout: timeout,
			Insecure: t.TLS.Insecure, Fingerprint: t.TLS.Fingerprint, CA: t.TLS.CA,
		}
	default:
		spec.rtmp = rtmp.Spec{
			URL: t.URL, App: t.App, Key: t.Key, Agent: "camrelay/" + version, Timeout: timeout,
			User: t.Username, Password: t.Password, Enhanced: rtmp.Enhanced(t.Enhanced), LegacyHEVC: t.LegacyHEVC,
			Insecure: t.TLS.Insecure, Fingerprint: t.TLS.Fingerprint, CA: t.TLS.CA,
		}
	}
	return spec
}

// srtOf takes the address out of the URL, whose parameters config has read.
func srtOf(t config.Target, timeout time.Duration) srt.Spec {
	spec := srt.Spec{
		StreamID: t.StreamID, Passphrase: t.Passphrase, PBKeyLen: t.PBKeyLen, Latency: t.Latency, Timeout: timeout,
		Listen: t.Mode == config.ModeListener,
	}
	if u, err := url.Parse(t.URL); err == nil { // config has parsed it before
		spec.Host = u.Hostname()
		port, _ := strconv.ParseUint(u.Port(), 10, 16)
		spec.Port = uint16(port)
	}
	return spec
}

// shownURL is the target's URL without secrets. A key of its own is not in the
// URL, whose last element then is no secret; behind an application of its own
// all of the path is the key.
func shownURL(t config.Target) string {
	if u, err := url.Parse(t.URL); err == nil { // config has parsed it before
		switch {
		case t.Key != "":
			return u.Scheme + "://" + u.Host + u.EscapedPath()
		case t.App != "":
			return media.RedactURL(u.Scheme + "://" + u.Host + "/" + t.App + "/key")
		}
	}
	return media.RedactURL(t.URL)
}
