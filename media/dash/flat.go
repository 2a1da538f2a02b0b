package dash

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/fmp4"
)

// The manifest that GStreamer can play. dashdemux and dashdemux2 (1.22.0,
// gstmpdclient.c, gst_mpd_client_stream_seek) add the start of the first segment
// that is listed to the offset in the one that is sought, and take the quotient
// by its length for a number of repetitions: of a time line that does not begin
// at 0, they want segments of about twice the time. dashdemux moreover adds the
// start of the Period to where it is each time it reads the manifest (gstdashdemux.c,
// gst_dash_demux_update_manifest_data). Neither waits for a Period that begins
// later, nor knows availabilityTimeOffset.
//
// So there is one Period, which begins at media time 0, and its time line has no
// gap: fillers are listed before the first segment and where the stream was
// interrupted. The segment that grows is left out: its length is not known, and
// one that turns out longer would be played twice.

// wantsFlat tells of which player a request is.
func wantsFlat(userAgent string) bool { return strings.HasPrefix(userAgent, "GStreamer") }

// flat returns the Period of the newest segments of the leading stream that can
// be played without another initialization, those of other streams beside them.
func flat(leading *cmaf.Window, others []*cmaf.Window) (*cmaf.Window, period, error) {
	rows := make([]*run, 0, 1+len(others))
	var ids []uint32
	var shown *cmaf.Window
	for i, w := range append([]*cmaf.Window{leading}, others...) {
		r, id, err := row(w)
		if err != nil {
			return nil, period{}, err
		}
		if i == 0 {
			cut := *w
			cut.Segments = r.segments
			shown = &cut
		}
		rows, ids = append(rows, r), append(ids, id)
	}
	p := period{ID: fmt.Sprintf("%08x", ids[0]), Sets: sets(rows, 0)}
	for i := range p.Sets {
		for k := range p.Sets[i].Representations {
			rep := &p.Sets[i].Representations[k]
			at := slices.IndexFunc(rows, func(r *run) bool { return r.of.Base == rep.Base })
			rep.ID += fmt.Sprintf("-%08x", ids[at])
			rep.Template.flatten(rows[at])
		}
	}
	return shown, p, nil
}

// row returns the newest complete segments of w that one initialization serves,
// and what tells that from others.
func row(w *cmaf.Window) (r *run, id uint32, err error) {
	r = &run{of: w}
	for i, s := range slices.Backward(w.Segments) {
		if s.Open && len(w.Segments) > 1 {
			continue
		}
		last := w.Segments[min(i+1, len(w.Segments)-1)]
		if len(r.segments) == 0 || s.Init != last.Init || s.Session != last.Session {
			b, err := fmp4.Init(s.Tracks)
			if err != nil {
				return nil, 0, err
			}
			sum := crc32.ChecksumIEEE(b)
			if len(r.segments) > 0 && sum != id {
				break
			}
			id = sum
		}
		r.segments = append(r.segments, s)
	}
	slices.Reverse(r.segments)
	return r, id, nil
}

// flatten lists what r has from media time 0 on.
func (t *template) flatten(r *run) {
	t.Offset, t.Ahead, t.Complete = 0, "", ""
	t.Entries = t.Entries[:0]
	end := int64(0)
	for i, s := range r.segments {
		at := s.Ticks()
		if at > end {
			t.Entries = append(t.Entries, entry{end, at - end})
		}
		// The player asks again from the end of the last one on: the next one
		// may begin a little later, and must be what it finds there.
		end = media.ToTicks(s.Start+s.Duration+joint, cmaf.Scale)
		if i+1 < len(r.segments) {
			next := r.segments[i+1].Start
			if (next - s.Start - s.Duration).Abs() < joint {
				end = media.ToTicks(next, cmaf.Scale)
			} else {
				end = min(media.ToTicks(s.Start+s.Duration, cmaf.Scale), media.ToTicks(next, cmaf.Scale))
			}
		}
		t.Entries = append(t.Entries, entry{at, max(1, end-at)})
		end = max(end, at+1)
	}
}

// isFiller tells whether flatten lists nothing but time there.
func isFiller(w *cmaf.Window, session string, at int64) bool {
	if !slices.ContainsFunc(w.Segments, func(s cmaf.Segment) bool { return s.Session == session }) {
		return false
	}
	if at == 0 {
		return w.Segments[0].Ticks() > 0
	}
	for i, s := range w.Segments[1:] {
		before := &w.Segments[i]
		gap := s.Start - before.Start - before.Duration
		if gap >= joint && media.ToTicks(before.Start+before.Duration, cmaf.Scale) == at {
			return true
		}
	}
	return false
}

// filler is a segment without samples: one box to be skipped (ISO/IEC 14496-12
// §8.1.2).
const filler = "\x00\x00\x00\x08free"

// delay returns how far behind its clock a player of that window can begin: as
// far as wanted, if there are segments.
func delay(w *cmaf.Window, wanted time.Duration, now time.Time) time.Duration {
	at := now.Sub(w.Epoch)
	last := &w.Segments[len(w.Segments)-1]
	newest := at - (last.Start + last.Duration/2)
	oldest := at - w.Segments[0].Start
	return max(min(max(wanted, newest), oldest), 0)
}
