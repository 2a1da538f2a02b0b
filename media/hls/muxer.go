package hls

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Config says how streams are packaged and served. All durations are > 0.
type Config struct {
	Segment      time.Duration // least length of a segment; it ends at a key frame
	Part         time.Duration // greatest length of a part
	Window       time.Duration // least length of a playlist, once there is that much
	StartTimeout time.Duration // how long a request waits for a camera and its first segment
	Linger       time.Duration // how long an on-demand packager outlives its last viewer
}

// Muxer packages one stream.
type Muxer struct {
	cfg    Config
	stream *hub.Stream
	budget *Budget
	share  share
	store  store
	log    *slog.Logger

	session string        // random, of the names of files
	ready   chan struct{} // closed by Run when the first segment is complete
	failing bool          // of Run: the last write failed
	inits   int           // of Run: init segments made so far

	mu       sync.Mutex // guards what follows
	numbers  numbers
	segments []*segment // those that have files, and gaps between them; in order
	first    uint64     // sequence number of the first one in the playlist
	current  *segment   // open; nil if none
	version  uint64     // of the playlists, rises with each change
	longest  time.Duration
	mixed    bool // a segment did not begin with a key frame
	peak     int  // bit/s
	average  int  // bit/s
	rate     float64
	counts   counts
	cache    cache
}

// counts is what a Muxer has met with.
type counts struct {
	gaps, discontinuities, lost uint64
	err                         error // why the last segment is a gap; nil if it is none
}

// NewMuxer returns a Muxer that packages stream into a directory of its name
// below root.
func NewMuxer(cfg Config, root *os.Root, budget *Budget, stream *hub.Stream, log *slog.Logger) *Muxer {
	var id [sessionDigits / 2]byte
	rand.Read(id[:]) //nolint:errcheck,gosec // it never fails
	return &Muxer{
		cfg: cfg, stream: stream, budget: budget, log: log.With("cam", stream.Name()),
		store:   store{root: root, dir: dirOf(stream.Name())},
		session: hex.EncodeToString(id[:]),
		ready:   make(chan struct{}),
	}
}

// Run packages the stream until ctx is done, when it returns nil, or until the
// stream has ended, when it returns hub.ErrEnded. Its segments are removed then,
// after the end of the stream its whole directory. A disk that is full or
// broken does not end it: segments are marked as gaps until writing succeeds.
// A panic over what a camera sends does, and is returned as *media.PanicError.
// At most one Run may package into a directory at a time.
func (m *Muxer) Run(ctx context.Context) (err error) {
	defer media.Contain(&err)
	p := m.open()
	units := m.stream.Units.Reader("hls", hub.LastStart)
	units.Relax()
	defer units.Close()
	err = m.read(ctx, units, p)
	ended := errors.Is(err, io.EOF)
	if err := m.close(ended); err != nil {
		m.log.Warn("cannot remove HLS segments", "err", err)
	}
	if _, ok := errors.AsType[*media.PanicError](err); ok {
		return err
	}
	if ended {
		return hub.ErrEnded
	}
	return nil
}

// open goes on where an earlier session has ended.
func (m *Muxer) open() *packager {
	n, err := m.store.restore()
	if err != nil {
		m.failed(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.sequence < m.numbers.sequence {
		n = m.numbers // the state file was lost
	}
	if n.segment != m.cfg.Segment {
		n.target = 0
	}
	n.segment = m.cfg.Segment
	m.numbers, m.first = n, n.sequence
	return &packager{out: m, cfg: m.cfg, tracks: m.stream.Tracks, broken: n.used}
}

// read packages units, and gives up what is pending in the end.
func (m *Muxer) read(ctx context.Context, units *hub.Reader[*media.Unit], p *packager) (err error) {
	defer media.Contain(&err)
	defer p.abandon()
	var in [128]*media.Unit
	for {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil {
			return err
		}
		if lost > 0 {
			m.mu.Lock()
			m.counts.lost += lost
			m.mu.Unlock()
		}
		for i, u := range in[:n] {
			p.unit(u, u.Gap || i == 0 && lost > 0)
		}
		clear(in[:n])
	}
}

// close gives all files up; with all also the directory.
func (m *Muxer) close(all bool) error {
	m.mu.Lock()
	segments := slices.Clone(m.segments)
	m.mu.Unlock()
	for _, s := range segments {
		if s.gap || m.budget.claim(s) {
			m.drop(s)
		}
	}
	return m.store.close(all)
}

// newInit returns an init segment, to be written with the first segment that
// needs it.
func (m *Muxer) newInit(tracks []*media.Track, data []byte) *initSegment {
	m.inits++
	return &initSegment{name: initName(m.session, m.inits), tracks: tracks, data: data, refs: 1}
}

// begin opens s, the next segment. Its file is made with its first part.
func (m *Muxer) begin(s *segment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.owner = m
	s.sequence = m.numbers.sequence
	s.name = mediaName(m.session, s.sequence)
	if s.discontinuity {
		m.numbers.discontinuity++
		m.counts.discontinuities++
	}
	s.number = m.numbers.discontinuity
	m.numbers.sequence++
	m.numbers.used = true
	m.mixed = m.mixed || !s.independent
	s.init.refs++
	m.current = s
}

// part appends size bytes in bufs to the open segment. A segment of which a
// part cannot be written becomes a gap as a whole.
func (m *Muxer) part(s *segment, bufs [][]byte, size int64, p part) {
	var err error
	if !s.gap {
		err = m.write(s, bufs, size)
	}
	if err != nil {
		m.failed(err)
		m.discard(s)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.duration += p.duration
	s.frames += p.frames
	switch {
	case s.gap:
	case err != nil:
		s.gap, s.parts, s.size = true, nil, 0
		m.counts.gaps++
		m.counts.err = err
	default:
		p.offset, p.size = s.size, size
		s.parts = append(s.parts, p)
		s.size += size
	}
}

// end closes the open segment, which lasts for duration in all, and puts it
// into the playlist.
func (m *Muxer) end(s *segment, duration time.Duration) {
	if s.file != nil {
		if err := s.file.Close(); err != nil {
			m.failed(err)
		}
		s.file = nil
	}
	gone, n := m.list(s, duration)
	if !s.gap {
		m.recovered()
		m.budget.add(s)
	}
	for _, g := range gone {
		if g.gap || m.budget.claim(g) {
			m.drop(g)
		}
	}
	if err := m.store.save(n); err != nil {
		m.failed(err)
	}
	select {
	case <-m.ready:
	default:
		close(m.ready)
	}
}

// list appends a segment to the playlist. It returns the segments whose files
// may go, and what a later session is to know.
func (m *Muxer) list(s *segment, duration time.Duration) (gone []*segment, n numbers) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.duration = duration
	m.current = nil
	if !s.gap {
		m.counts.err = nil
	}
	m.segments = append(m.segments, s)
	m.longest = max(m.longest, duration)
	gone = m.slide(time.Now())
	m.measure()
	m.version++
	return gone, m.numbers
}

// slide takes segments off the head of the playlist as long as enough remains
// (RFC 8216 §6.2.2) and returns those whose files may go now. mu is held.
func (m *Muxer) slide(now time.Time) (gone []*segment) {
	var total time.Duration
	for _, s := range m.listed() {
		total += s.duration
	}
	least := max(m.cfg.Window, 3*m.targetDuration())
	whole := total
	for _, s := range m.listed() {
		if total-s.duration < least {
			break
		}
		total -= s.duration
		s.expires = now.Add(s.duration + whole)
		m.first = s.sequence + 1
	}
	for _, s := range m.segments {
		if s.sequence < m.first && (s.gap || !s.expires.After(now)) {
			gone = append(gone, s)
		}
	}
	return gone
}

// drop removes a segment that is not in the budget's list, and whatever
// precedes it from the playlist. Called from any goroutine.
func (m *Muxer) drop(s *segment) {
	m.mu.Lock()
	if m.first <= s.sequence {
		m.first = s.sequence + 1
		m.version++
	}
	if i := slices.Index(m.segments, s); i >= 0 {
		m.segments = slices.Delete(m.segments, i, i+1)
	}
	in := s.init
	last := m.unref(in)
	m.mu.Unlock()

	if !s.gap {
		m.unlink(s.name, s.reserved)
	}
	if last {
		m.unlink(in.name, pages(int64(len(in.data))))
	}
}

// unref gives up one reference and tells whether the file is to be removed.
// mu is held.
func (m *Muxer) unref(in *initSegment) (last bool) {
	in.refs--
	last = in.refs == 0 && in.written
	if last {
		in.written = false
	}
	return last
}

// release gives up one reference to an init segment.
func (m *Muxer) release(in *initSegment) {
	m.mu.Lock()
	last := m.unref(in)
	m.mu.Unlock()
	if last {
		m.unlink(in.name, pages(int64(len(in.data))))
	}
}
