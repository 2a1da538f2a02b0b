package dash

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/cmaf"
	"camrelay/media/fmp4"
)

// errEmpty says that nothing is kept of a stream now.
var errEmpty = errors.New("no segment is available")

// manifest serves the manifest of the stream of that name. named tells that the
// player is told where the manifest is that shows its session.
func (h *Handler) manifest(w *counter, r *http.Request, v Visit, name string, named bool) error {
	level := wantsFlat(r.UserAgent())
	windows := v.Windows(r.Context())
	lead := own(windows, name)
	if level && lead != nil && lead.Segments[len(lead.Segments)-1].Open && len(lead.Segments) == 1 {
		if err := await(r.Context(), v, &lead.Segments[0]); err != nil {
			return err
		}
		windows = v.Windows(r.Context())
		lead = own(windows, name)
	}
	if lead == nil {
		return errEmpty
	}
	var others []*cmaf.Window
	for i := range windows {
		if o := &windows[i]; o != lead && len(o.Segments) > 0 {
			others = append(others, o)
		}
	}
	text, err := newManifest(lead, others, form{named: named, flat: level}, time.Now())
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "application/dash+xml")
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(text) // the viewer may leave at any time
	}
	return nil
}

// await waits until that segment is complete.
func await(ctx context.Context, v Visit, s *cmaf.Segment) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	open, err := v.Open(ctx, s.Session, s.Ticks())
	if err != nil {
		return err
	}
	defer open.Close() // it was only read
	_, _, err = open.Size(ctx, math.MaxInt64)
	return err
}

// patience is how long a player may wait for a segment to end.
const patience = 20 * time.Second

// form is what kind of manifest a player gets.
type form struct {
	named bool // the player is told where the manifest is that shows its session
	flat  bool
}

// newManifest returns the manifest as of now.
func newManifest(lead *cmaf.Window, others []*cmaf.Window, as form, now time.Time) ([]byte, error) {
	length := usual(lead)
	part := min(max(lead.Part, 40*time.Millisecond), length)
	low := max(time.Second, 3*part+length/4).Milliseconds()
	var all []period
	shown, wanted := lead, 3*length
	if as.flat {
		cut, only, err := flat(lead, others)
		if err != nil {
			return nil, err
		}
		shown, all, wanted = cut, []period{only}, delay(cut, wanted, now)
	} else {
		all = periods(lead, others)
	}
	first, last := &shown.Segments[0], &shown.Segments[len(shown.Segments)-1]
	// The clock may have been set since. Media time goes on.
	began := now.Add(-now.Sub(lead.Epoch))
	now = now.UTC()
	m := mpd{
		Profiles: "urn:mpeg:dash:profile:isoff-live:2011,http://www.dashif.org/guidelines/low-latency-live-v5",
		Type:     "dynamic", Start: began.UTC().Format(date), Published: now.Format(date),
		Update:  seconds(max(length/2, 500*time.Millisecond).Round(time.Millisecond)),
		Depth:   seconds(max(last.Start-first.Start, length).Round(time.Millisecond)),
		Delay:   seconds(wanted.Round(time.Millisecond)),
		Longest: seconds(lead.Target), Buffer: seconds(part),
		Service: service{
			Latency: latency{Target: low, Min: low / 2, Max: 4 * low}, Rate: rate{Max: "1.05", Min: "0.95"},
		},
		Periods: all,
		UTC:     descriptor{"urn:mpeg:dash:utc:direct:2014", now.Format(date)},
	}
	if as.named && lead.Query != "" {
		m.Location = manifestName + lead.Query
	}
	text, err := xml.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("cannot write manifest: %w", err)
	}
	return append([]byte(xml.Header), text...), nil
}

// describe sets the headers of what never changes.
func describe(w *counter, file string) {
	head := w.Header()
	head.Set("Content-Type", "video/mp4")
	head.Set("Cache-Control", "max-age=3600, immutable")
	head.Set("ETag", strconv.Quote(file))
}

func serveInit(w *counter, r *http.Request, v Visit, file string, f wanted) error {
	tracks := v.Tracks(f.session, f.number)
	if f.track > len(tracks) {
		return os.ErrNotExist
	}
	data, err := fmp4.Init([]*media.Track{tracks[f.track-1]})
	if err != nil {
		return err
	}
	describe(w, file)
	http.ServeContent(w, r, file, time.Time{}, bytes.NewReader(data))
	return nil
}

// serveSegment sends a track of a segment: at once if the segment is complete,
// part by part while it grows.
func (h *Handler) serveSegment(c *counter, r *http.Request, v Visit, name, file string, f wanted) error {
	s, err := v.Open(r.Context(), f.session, f.base+f.number)
	if errors.Is(err, os.ErrNotExist) && f.base == 0 {
		if w := own(v.Windows(r.Context()), name); w != nil && isFiller(w, f.session, f.number) {
			describe(c, file)
			http.ServeContent(c, r, file, time.Time{}, strings.NewReader(filler))
			return nil
		}
	}
	if err != nil {
		return err
	}
	defer s.Close() // it was only read
	size, complete, err := s.Size(r.Context(), 0)
	if err != nil {
		return err
	}
	k, ok := h.work.Get().(*work)
	if !ok {
		panic("dash: internal error: the pool has something else")
	}
	defer h.work.Put(k)
	tracks := s.Tracks()
	if f.track > len(tracks) {
		return os.ErrNotExist
	}
	k.extract.Earlier = media.ToTicks(media.ToDuration(f.base, cmaf.Scale), fmp4.Scale(tracks[f.track-1]))
	k.out, err = k.extract.Append(k.out[:0], s, 0, size, uint32(f.track))
	if err != nil {
		return fmt.Errorf("cannot take track out of segment: %w", err)
	}
	if complete && len(k.out) == 0 { // it was listed, and had nothing of the track when it broke off
		k.out = append(k.out, 0, 0, 0, 8, 'f', 'r', 'e', 'e')
	}
	describe(c, file)
	switch {
	case complete:
		http.ServeContent(c, r, file, time.Time{}, bytes.NewReader(k.out))
		return nil
	case r.Method == http.MethodHead:
		return nil
	}
	c.Header().Set("X-Accel-Buffering", "no") // a proxy must not wait for more
	h.grow(c, r, s, k, size, uint32(f.track))
	return nil
}

// grow sends what k holds, and then each part as it is written. A response that
// cannot be completed is broken off, so that nobody takes it for whole.
func (h *Handler) grow(w *counter, r *http.Request, s Segment, k *work, size int64, track uint32) {
	for complete := false; ; {
		if len(k.out) > 0 {
			if _, err := w.Write(k.out); err != nil {
				return
			}
			if err := w.control.Flush(); err != nil {
				return
			}
		}
		if complete {
			return
		}
		var err error
		before := size
		if size, complete, err = s.Size(r.Context(), before); err == nil {
			k.out, err = k.extract.Append(k.out[:0], s, before, size-before, track)
		}
		if err != nil {
			h.log.Debug("cannot complete a segment for a viewer", "err", err)
			panic(http.ErrAbortHandler)
		}
	}
}
