// Package health judges whether what runs is well. It is pure: it gets what is
// known and the time, and keeps, starts and asks nothing. Whoever shows or
// tells how a camera is asks here, so that all say the same. Everything may be
// called from any goroutine.
package health

import (
	"fmt"
	"time"

	"camrelay/media"
)

// Name is what is wrong, in one word for programs.
type Name string

// The conditions of a camera.
const (
	Offline      Name = "offline"           // it is wanted and there is no connection that delivers
	Stalled      Name = "stalled"           // no media; RTCP alone is no life
	FrozenStamps Name = "frozen_timestamps" // packets come, and all have one time stamp
	NoKeyFrame   Name = "no_key_frame"      // pictures come, and nobody can start with one
	MissingVideo Name = "missing_video"     // the camera offers a picture and sends none
	MissingAudio Name = "missing_audio"     // the camera offers sound and sends none
)

// Condition is one thing that is wrong.
type Condition struct {
	Name  Name
	Text  string    // for people
	Since time.Time // since when it has been so
}

// Camera is what is known of a connection that has delivered media.
type Camera struct {
	Since       time.Time     // when media came first
	Packet      time.Time     // when media came last
	Key         time.Time     // when a key frame came last in this connection, zero if none yet
	KeyInterval time.Duration // between the two newest key frames, 0 if unknown
	Tracks      []Track       // the expected ones
}

// Track is one track that a camera offers.
type Track struct {
	Kind  media.Kind
	Last  time.Time // when a packet came last in this connection, zero if none yet
	Moved time.Time // when its time stamp changed last, zero if never
}

// Verdict is how a camera is.
type Verdict struct {
	// Warm tells that every expected track delivers, with key frames where there
	// is a picture: a viewer sees something at once. It may be false without
	// any condition for a moment after the camera has connected.
	Warm       bool
	Conditions []Condition // the gravest first
}

// Has tells whether the condition is there.
func (v Verdict) Has(name Name) bool {
	for _, c := range v.Conditions {
		if c.Name == name {
			return true
		}
	}
	return false
}

// Judge judges a camera as of now. What does not come for as long as limit has
// stalled. Key frames may be as far apart as the camera likes, but not more
// than two and a half times as far as before; a first one is due within limit.
// Tracks that are neither picture nor sound are not expected to deliver.
func (c Camera) Judge(now time.Time, limit time.Duration) Verdict {
	if since := later(c.Packet, c.Since); now.Sub(since) >= limit {
		return Verdict{Conditions: []Condition{{Stalled, "no media for " + short(now.Sub(since)), since}}}
	}
	v := Verdict{Warm: true}
	picture := false // comes and goes on
	video := false
	for _, t := range c.Tracks {
		if t.Kind != media.KindVideo && t.Kind != media.KindAudio {
			continue
		}
		video = video || t.Kind == media.KindVideo
		v.Warm = v.Warm && !t.Last.IsZero()
		if cond, bad := t.judge(c.Since, now, limit); bad {
			v.Conditions = append(v.Conditions, cond)
		} else {
			picture = picture || t.Kind == media.KindVideo
		}
	}
	if picture {
		if cond, bad := c.keys(now, limit); bad {
			v.Conditions = append(v.Conditions, cond)
		}
	}
	v.Warm = v.Warm && len(v.Conditions) == 0 && (!video || !c.Key.IsZero())
	return v
}

// judge returns what is wrong with one track of a camera that delivers since.
func (t Track) judge(since, now time.Time, limit time.Duration) (c Condition, bad bool) {
	name, what := MissingVideo, "picture"
	if t.Kind == media.KindAudio {
		name, what = MissingAudio, "sound"
	}
	if from := later(t.Last, since); now.Sub(from) >= limit {
		return Condition{name, fmt.Sprintf("no %s for %s", what, short(now.Sub(from))), from}, true
	}
	if from := later(t.Moved, since); now.Sub(from) >= limit {
		return Condition{
			FrozenStamps, fmt.Sprintf("the time stamps of the %s stand still for %s", what, short(now.Sub(from))), from,
		}, true
	}
	return Condition{}, false
}

// keys tells whether key frames are overdue.
func (c Camera) keys(now time.Time, limit time.Duration) (Condition, bool) {
	due := max(limit, 5*c.KeyInterval/2)
	if from := later(c.Key, c.Since); now.Sub(from) >= due {
		return Condition{NoKeyFrame, "no key frame for " + short(now.Sub(from)), from}, true
	}
	return Condition{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func short(d time.Duration) string { return d.Truncate(time.Second).String() }
