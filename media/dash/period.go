package dash

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/codec"
)

// run is a row of segments that one representation per track can list.
type run struct {
	of       *cmaf.Window
	segments []cmaf.Segment
}

// runs cuts a window where its segments do not continue one another.
func runs(w *cmaf.Window) (all []run) {
	for i := range w.Segments {
		s := &w.Segments[i]
		if i == 0 || s.Session != w.Segments[i-1].Session || s.Run != w.Segments[i-1].Run {
			all = append(all, run{of: w})
		}
		last := &all[len(all)-1]
		last.segments = append(last.segments, *s)
	}
	return all
}

// usual returns the length that a segment of w has as a rule.
func usual(w *cmaf.Window) time.Duration {
	for _, s := range slices.Backward(w.Segments) {
		if !s.Open && s.Start > s.RunStart {
			return s.Duration
		}
	}
	if s := w.Segments[0]; !s.Open && s.Duration > 0 {
		return s.Duration
	}
	return w.Target
}

// periods returns a Period for each run of the leading stream. Other streams
// are in it with the newest of their runs that is shown in that time.
func periods(leading *cmaf.Window, others []*cmaf.Window) (all []period) {
	mine := runs(leading)
	for i := range mine {
		r := &mine[i]
		first := r.segments[0]
		end := time.Duration(math.MaxInt64)
		if i+1 < len(mine) {
			end = mine[i+1].segments[0].RunStart
		}
		rungs := []*run{r}
		for _, w := range others {
			if o := within(w, first.Start, end); o != nil {
				rungs = append(rungs, o)
			}
		}
		all = append(all, period{
			ID: fmt.Sprintf("%s-%d", first.Session, first.Run), Start: seconds(first.RunStart),
			Sets: sets(rungs, first.RunStart),
		})
	}
	return all
}

// within returns the newest run of w that is shown between two media times, as
// far as it is; nil if there is none.
func within(w *cmaf.Window, from, to time.Duration) *run {
	for _, r := range slices.Backward(runs(w)) {
		r.segments = slices.DeleteFunc(slices.Clone(r.segments), func(s cmaf.Segment) bool {
			return s.Start >= to || s.Start < from
		})
		if len(r.segments) > 0 {
			return &r
		}
	}
	return nil
}

// sets returns the adaptation sets of rungs, one of all pictures and one of the
// sound of the first that has any.
func sets(rungs []*run, base time.Duration) (all []set) {
	video := set{ContentType: "video", Aligned: len(rungs) == 1, SAP: 1}
	audio := set{ID: 1, ContentType: "audio", Aligned: true, SAP: 1}
	for i, r := range rungs {
		for at, t := range r.segments[0].Tracks {
			rep := represent(r, at, t, base)
			rep.ID = fmt.Sprintf("%s%d", t.Kind, i)
			switch {
			case t.Kind == media.KindVideo:
				video.Representations = append(video.Representations, rep)
			case len(audio.Representations) == 0:
				audio.Representations = append(audio.Representations, rep)
			}
		}
		if slices.ContainsFunc(r.segments, func(s cmaf.Segment) bool { return !s.Independent }) {
			video.SAP = 0
		}
	}
	for _, s := range []set{video, audio} {
		if len(s.Representations) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// represent returns the representation of the track at that index.
func represent(r *run, at int, t *media.Track, base time.Duration) representation {
	rep := representation{
		MIME: t.Kind.String() + "/mp4", Codecs: codec.String(t), Bandwidth: 1, Base: r.of.Base,
		Template: r.template(at+1, base),
	}
	if at < len(r.of.Bandwidth) {
		rep.Bandwidth = max(r.of.Bandwidth[at], 1)
	}
	if t.Kind == media.KindVideo {
		rep.Width, rep.Height = t.Width, t.Height
		rep.FrameRate = frameRate(t.FrameRate, r.of.FrameRate)
		return rep
	}
	rep.Sampling = t.SampleRate
	if rep.Sampling == 0 {
		rep.Sampling = t.ClockRate
	}
	rep.Channels = &descriptor{
		"urn:mpeg:dash:23003:3:audio_channel_configuration:2011", strconv.Itoa(max(t.Channels, 1)),
	}
	return rep
}

// frameRate returns the frame rate in the form of the manifest, a whole number
// or a fraction.
func frameRate(told, measured float64) string {
	f := told
	if f == 0 {
		f = math.Round(measured)
	}
	switch whole := math.Round(f); {
	case f <= 0:
		return ""
	case math.Abs(f-whole) < 0.001:
		return strconv.Itoa(int(whole))
	case math.Abs(f*1001/1000-math.Round(f*1001/1000)) < 0.001:
		return strconv.Itoa(int(math.Round(f*1001/1000))*1000) + "/1001"
	default:
		return strconv.Itoa(int(math.Round(f*1000))) + "/1000"
	}
}

// lead is the media time at which a Period begins: pictures may be decoded before
// they are shown, and no time is negative.
const lead = time.Second

// template lists the segments of a run, of which one track is taken.
func (r *run) template(track int, base time.Duration) template {
	first := r.segments[0]
	query := strings.ReplaceAll(r.of.Query, "$", "$$")
	from := max(media.ToTicks(base-lead, cmaf.Scale), 0)
	t := template{
		Timescale: cmaf.Scale, Offset: media.ToTicks(base, cmaf.Scale) - from,
		Init:  initName(first.Session, first.Init, track) + query,
		Media: mediaName(first.Session, from, "$Time$", track) + query,
	}
	for i, s := range r.segments {
		d := s.Duration
		switch continued := i+1 < len(r.segments); {
		case continued && (r.segments[i+1].Start-s.Start-d).Abs() < joint:
			d = r.segments[i+1].Start - s.Start
		case s.Open:
			length := usual(r.of)
			d = max(d, length)
			if ahead := length - r.of.Part; ahead > 0 {
				t.Ahead, t.Complete = strconv.FormatFloat(ahead.Seconds(), 'f', 3, 64), "false"
			}
		}
		at := s.Ticks()
		t.Entries = append(t.Entries, entry{at - from, max(1, media.ToTicks(s.Start+d, cmaf.Scale)-at)})
	}
	return t
}

// joint is how much the ends of segments may be off the beginning of the next
// one: more is a segment that is missing.
const joint = 200 * time.Millisecond
