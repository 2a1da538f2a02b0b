package timeline

import (
	"slices"
	"time"

	"camrelay/media"
)

// Bounds of skew.
const (
	// trusted is the most by which sender reports may move audio against video.
	trusted = 2 * time.Second
	// tolerated is the skew that is left alone where reports tell it.
	tolerated = 10 * time.Millisecond
	// drifted is the same where only arrival times tell it.
	drifted = 100 * time.Millisecond
	// fresh is how long a report is worth something.
	fresh = 2 * time.Minute
)

// report is the content of an RTCP sender report (RFC 3550 §6.4.1): the frame
// stamped ticks was sampled at ntp by the camera's clock.
type report struct {
	ntp   time.Time
	ticks int64
	at    time.Time // arrival, zero if there was no report
}

// SenderReport notes that the camera's clock said ntp for the stamp rtp. The
// reports of audio and video together tell how they lie against each other;
// audio is moved there slowly. A report before the first frame of its track,
// or one that does not fit to what has arrived, is ignored.
func (tl *Timeline) SenderReport(t *media.Track, ntp time.Time, rtp uint32, arrival time.Time) {
	c := tl.clock(t)
	if !c.synced {
		return
	}
	ticks := c.unwrap(rtp, arrival)
	if d := c.time(ticks) - c.high; d > 2*ahead || d < -2*ahead {
		return
	}
	c.report = report{ntp: ntp, ticks: ticks, at: arrival}
	for _, a := range tl.clocks {
		if a != nil && !a.video && (a == c || c.video) {
			tl.compareReports(a, arrival)
		}
	}
}

// told is what pairs of reports said about where an audio track lies, the
// newest last. One of them alone may be wrong: a camera sets its clock between
// two reports, or stamps one late.
type told struct {
	offsets []time.Duration // three at most
	v, a    report          // of the last pair
	vs, as  int             // time lines that the pairs belong to
}

// add takes what a new pair says, and returns what to go by: the one in the
// middle, or of two the nearer to where the track lies.
func (o *told) add(offset, now time.Duration) time.Duration {
	if o.offsets = append(o.offsets, offset); len(o.offsets) > 3 {
		o.offsets = o.offsets[1:]
	}
	all := slices.Sorted(slices.Values(o.offsets))
	if len(all) == 2 && (now-all[0]).Abs() > (now-all[1]).Abs() {
		return all[1]
	}
	return all[(len(all)-1)/2]
}

// compareReports sets how far the audio track a is to be moved. Each report
// speaks in one pair alone.
func (tl *Timeline) compareReports(a *clock, arrival time.Time) {
	v := tl.running()
	if v == nil || !v.video || !v.reported(arrival) || !a.reported(arrival) {
		return
	}
	o := &a.told
	if o.vs != v.starts || o.as != a.starts {
		*o = told{vs: v.starts, as: a.starts}
	}
	if v.report == o.v || a.report == o.a {
		return
	}
	o.v, o.a = v.report, a.report
	skew := v.time(v.report.ticks) + a.report.ntp.Sub(v.report.ntp) - a.time(a.report.ticks)
	if skew > trusted || skew < -trusted {
		return
	}
	if a.fix = o.add(a.offset+skew, a.offset) - a.offset; a.fix.Abs() <= tolerated {
		a.fix = 0
	}
}

// reported tells whether there is a fresh report of the track.
func (c *clock) reported(now time.Time) bool {
	return c.synced && !c.report.at.IsZero() && now.Sub(c.report.at) < fresh
}

// compareLags holds audio to video by arrival times while there are no
// reports: if the least lag of one grows against that of the other, their
// clocks drift apart.
func (tl *Timeline) compareLags(c *clock) {
	v := tl.running()
	if c.video || v == nil || !v.video || !c.lag[1].set || !v.lag[1].set {
		return
	}
	apart := c.lag[1].least - v.lag[1].least
	if !c.based || v.reported(c.at) && c.reported(c.at) {
		c.apart, c.based = apart, true
		return
	}
	if d := apart - c.apart; d > drifted || d < -drifted {
		c.fix = d
	}
}
