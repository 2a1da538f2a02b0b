package hls

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"camrelay/media/hls/playlist"
	"camrelay/media/hub"
)

// live returns the low-latency playlist, or with delta the update of it that
// skips what a player knows (rfc8216bis §6.2.5.1), and the target duration.
func (m *Muxer) lowLatency(delta bool) (*playlist.Text, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	segments := m.listed()
	if len(segments) == 0 {
		return nil, errEmpty
	}
	m.tell()
	c := &m.cache.live
	skipped := 0
	if delta {
		if skipped = m.skippable(segments); skipped > 0 {
			c = &m.cache.delta
		}
	}
	return c.get(m.live, func() *playlist.Text {
		pl := m.media(segments)
		pl.Skipped = skipped
		m.addParts(&pl, segments)
		return pl.Text()
	}), nil
}

// addParts adds what makes latency low to the playlist of segments. mu is held.
func (m *Muxer) addParts(pl *playlist.Media, segments []*segment) {
	target := m.targetDuration()
	low := &playlist.Low{PartTarget: m.numbers.part}
	var after time.Duration // from the end of a segment to the end of the playlist
	sequence, n := m.edge()
	if n > 0 {
		open := entryOf(m.current)
		open.Gap = false // its parts tell
		open.Parts = m.parts(m.current)
		low.Open = &open
		after = m.current.duration
		m.shown = max(m.shown, m.current.sequence+1)
	}
	low.Hint = partName(m.session, sequence, n)
	for i := len(segments) - 1; i >= 0 && after+segments[i].duration <= 3*target; i-- {
		after += segments[i].duration
		pl.Segments[i].Parts = m.parts(segments[i])
	}
	pl.Low = low
}

// parts returns what playlists tell of the parts of a segment.
func (m *Muxer) parts(s *segment) []playlist.Part {
	if s.odd {
		return nil
	}
	all := make([]playlist.Part, len(s.parts))
	for i := range s.parts {
		p := &s.parts[i]
		all[i] = playlist.Part{
			URI: partName(s.session(), s.sequence, i), Duration: p.duration, Independent: p.independent,
			Gap: !s.stored() || p.size == 0,
		}
	}
	return all
}

// skippable returns how many of segments a delta update skips. mu is held.
func (m *Muxer) skippable(segments []*segment) int {
	boundary := playlist.SkipBoundary(m.targetDuration())
	var after time.Duration
	if m.current != nil {
		after = m.current.duration
	}
	for i, s := range slices.Backward(segments) {
		if after > boundary {
			return i + 1
		}
		after += s.duration
	}
	return 0
}

// edge returns which part comes next: its segment and its index. mu is held.
func (m *Muxer) edge() (sequence uint64, n int) {
	if m.current == nil {
		return m.numbers.sequence, 0
	}
	return m.current.sequence, len(m.current.parts)
}

// newest returns what other playlists report of this one.
func (m *Muxer) newest() (sequence uint64, n int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	segments := m.listed()
	if len(segments) == 0 {
		return 0, 0, false
	}
	if sequence, n := m.edge(); n > 0 {
		return sequence, n - 1, true
	}
	s := segments[len(segments)-1]
	return s.sequence, len(s.parts) - 1, len(s.parts) > 0
}

// directives are those of rfc8216bis §6.2.5.
type directives struct {
	block    bool
	sequence uint64
	part     int // -1: the whole segment
	skip     bool
}

// errDirective says that a player asks for what there cannot be.
var errDirective = errors.New("the directives of the request make no sense")

// parseDirectives reads the directives in a query.
func parseDirectives(query url.Values) (d directives, err error) {
	d.part = -1
	skip := query.Get("_HLS_skip")
	d.skip = skip == "YES" || skip == "v2"
	if query.Has("_HLS_msn") {
		d.block = true
		if d.sequence, err = strconv.ParseUint(query.Get("_HLS_msn"), 10, 63); err != nil {
			return d, errDirective
		}
	}
	if query.Has("_HLS_part") {
		n, err := strconv.ParseUint(query.Get("_HLS_part"), 10, 31)
		if err != nil || !d.block {
			return d, errDirective
		}
		d.part = int(n)
	}
	return d, nil
}

// reached tells whether the low-latency playlist has what d asks for; an error
// if that is too far ahead (rfc8216bis §6.2.5.2). mu is held.
func (m *Muxer) reached(d directives) (bool, error) {
	sequence, n := m.edge()
	switch {
	case d.sequence > sequence+1: // the last whole segment plus two
		return false, errDirective
	case d.sequence > sequence:
		return false, nil
	case d.sequence == sequence && d.part >= 0:
		ahead := 3
		if t := m.numbers.part; t > 0 && t < time.Second {
			ahead = int(3 * time.Second / t)
		}
		if d.part > n-1+ahead {
			return false, errDirective
		}
		return d.part < n, nil
	case d.sequence == sequence:
		return false, nil
	case d.part < 0 || d.sequence+1 < sequence:
		return true, nil
	}
	// A part that its segment does not have is the first of the next one.
	segments := m.listed()
	if len(segments) == 0 {
		return true, nil
	}
	last := segments[len(segments)-1]
	return last.sequence != d.sequence || d.part < len(last.parts) || n > 0, nil
}

// await returns when ready, which is called with mu held, tells true or an
// error; or with an error when w may not wait, when ctx or what w waits for is done
// or after three target durations (rfc8216bis §6.2.5.2).
func (m *Muxer) await(ctx context.Context, w waiter, ready func() (bool, error)) error {
	var late <-chan time.Time
	for {
		m.mu.Lock()
		ok, err := ready()
		if ok || err != nil {
			m.mu.Unlock()
			return err
		}
		if m.wake == nil {
			m.wake = make(chan struct{})
		}
		wake, patience := m.wake, 3*m.targetDuration()
		m.mu.Unlock()
		if late == nil {
			release, err := w.hold()
			if err != nil {
				return err
			}
			defer release()
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-wake:
		case <-late:
			return fmt.Errorf("%w: the camera delivers nothing", hub.ErrUnavailable)
		case <-w.done:
			return fmt.Errorf("%w: the packaging has ended", hub.ErrUnavailable)
		case <-w.gone:
			return fmt.Errorf("%w: the session has ended", hub.ErrUnavailable)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", hub.ErrUnavailable, ctx.Err())
		}
	}
}

// piece is where the bytes of a part lie.
type piece struct {
	file         string
	offset, size int64
}

// locate tells where a part lies, false while it is the one that comes next;
// the error is os.ErrNotExist for any other. mu is held.
func (m *Muxer) locate(session string, sequence uint64, n int) (at piece, ok bool, err error) {
	var s *segment
	if m.current != nil && m.current.sequence == sequence {
		s = m.current
	} else if i := slices.IndexFunc(m.segments, func(s *segment) bool { return s.sequence == sequence }); i >= 0 {
		s = m.segments[i]
	}
	next, hinted := m.edge()
	switch {
	case s != nil && session == s.session() && n < len(s.parts) && s.stored() && s.parts[n].size > 0:
		return piece{s.name, s.parts[n].offset, s.parts[n].size}, true, nil
	case session == m.session && sequence == next && n == hinted && (s == nil || !s.gap):
		return piece{}, false, nil
	}
	return piece{}, false, os.ErrNotExist
}
