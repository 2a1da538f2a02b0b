package hls

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// Config says how streams are packaged and served. All durations are > 0.
type Config struct {
	Segment      time.Duration // least length of a segment; it ends at a key frame
	Part         time.Duration // greatest length of a part, unless one picture lasts longer
	Window       time.Duration // least length of a playlist, once there is that much
	StartTimeout time.Duration // how long a request waits for a camera and its first segment
	Linger       time.Duration // how long an on-demand packager outlives its last viewer
}

// Muxer packages one stream.
type Muxer struct {
	cfg    Config
	stream *hub.Stream
	budget *Budget
	view   View
	form   form
	share  *share // of all Muxers of the stream
	store  store
	log    *slog.Logger

	session string        // random, of the names of files
	epoch   *epoch        // nil: media time is the stream's
	ready   chan struct{} // closed by Run when the first segment is complete, or there will be none
	stocked chan struct{} // closed by Run before ready, if what was listed before is listed still
	outlive func() bool   // whether the files are left to the next process when Run ends
	failing bool          // of Run: the last write failed
	inits   int           // of Run: init segments, or segments of MPEG-TS, made so far
	tail    *part         // of Run: written, to be published with the end of its segment
	saved   numbers       // of Run: as in the state file
	past    time.Duration // of Run: media time before which nothing may begin any more
	sound   time.Duration // of Run: likewise, but for sound that is far before its pictures
	journal journal       // of Run

	mu       sync.Mutex // guards what follows
	numbers  numbers
	segments []*segment    // those that have files, and gaps between them; in order
	first    uint64        // sequence number of the first one in the playlist
	current  *segment      // open; nil if none
	version  uint64        // of the plain playlist, rises with each change
	live     uint64        // of the low-latency playlist, rises with each change
	shown    uint64        // newest segment whose parts were in a playlist, plus 1
	told     time.Time     // when a viewer was told of what is listed
	wake     chan struct{} // closed when live rises; nil while nobody waits for that
	longest  time.Duration
	frame    time.Duration // usual duration of one frame of the track that leads
	keys     time.Duration // longest interval of key frames of the segments in the playlist
	mixed    bool          // a segment did not begin with a key frame
	peak     int           // bit/s
	average  int           // bit/s
	tracks   [2]int        // bit/s, peak of each
	rate     float64
	counts   counts
	unfit    error // why nothing can be packaged; nil if something can
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
	rand.Read(id[:]) // it never fails
	return &Muxer{
		cfg: cfg, stream: stream, view: whole, share: &share{}, budget: budget, log: log.With("cam", stream.Name()),
		store:   store{root: root, dir: dirOf(stream.Name())},
		session: hex.EncodeToString(id[:]),
		ready:   make(chan struct{}),
		stocked: make(chan struct{}),
		outlive: func() bool { return false },
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
	err = m.read(ctx, p)
	ended := errors.Is(err, io.EOF)
	_, panicked := errors.AsType[*media.PanicError](err)
	if !ended && !panicked && m.outlive() {
		m.suspend(p)
		return nil
	}
	worse := m.giveUp(p)
	if err := m.close(ended); err != nil {
		m.log.Warn("cannot remove HLS segments", "err", err)
	}
	if panicked || worse != nil {
		return cmp.Or(worse, err)
	}
	if ended {
		return hub.ErrEnded
	}
	return nil
}

// open goes on where an earlier session has ended.
func (m *Muxer) open() *packager {
	n := m.goOn()
	if err := m.prepare(); err != nil {
		m.failed(err)
	}
	if m.inherited() {
		m.noteAll()
		close(m.stocked)
	}
	return &packager{
		out: m, epoch: m.epoch, form: fragments{}, tracks: m.stream.Tracks, broken: n.used, floor: math.MinInt64,
	}
}

// goOn takes over what an earlier session has left, and returns the numbers with
// which to go on.
func (m *Muxer) goOn() numbers {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.past = m.numbers.past
	n := m.store.load()
	mine := n.sequence >= m.numbers.sequence
	if !mine {
		n = m.numbers // the state file was lost
	}
	m.saved = n
	if n.segment != m.cfg.Segment {
		n.target = 0
	}
	if n.wanted != m.cfg.Part {
		n.part = 0
	}
	same := n.segment == m.cfg.Segment && n.wanted == m.cfg.Part
	n.segment, n.wanted = m.cfg.Segment, m.cfg.Part
	m.first = n.sequence
	if mine && same {
		n = m.inherit(n)
	}
	m.numbers = n
	m.measure()
	return n
}

// prepare makes the directory and removes what is not listed from it.
func (m *Muxer) prepare() error {
	if err := m.store.root.MkdirAll(m.store.dir, 0o750); err != nil {
		return fmt.Errorf("cannot make directory: %w", err)
	}
	keep := make(map[string]bool)
	m.mu.Lock() // another stream may need the room of what is inherited already
	for _, s := range m.segments {
		keep[s.name], keep[s.init.name] = true, true
	}
	m.mu.Unlock()
	return m.store.clean(keep)
}

// inherited tells whether anything is listed before Run has made it.
func (m *Muxer) inherited() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.segments) > 0
}

// giveUp gives up what is pending, whatever state a panic has left it in.
func (m *Muxer) giveUp(p *packager) (err error) {
	defer media.Contain(&err)
	p.abandon()
	return nil
}

// suspend leaves all files to the next process.
func (m *Muxer) suspend(p *packager) {
	if p.seg != nil && p.seg.file != nil {
		if err := p.seg.file.Close(); err != nil {
			m.failed(err)
		}
	}
	m.journal.close()
	m.store.suspend()
}

// read packages what the source shows.
func (m *Muxer) read(ctx context.Context, p *packager) (err error) {
	defer media.Contain(&err)
	src := source{stream: m.stream, view: m.view}
	defer src.close()
	src.follow()
	run := m.units
	if m.form == transport {
		run = m.chunks
	}
	for {
		p.tracks = src.shown.Tracks
		if err := run(ctx, &src, p); err != nil {
			return err
		}
		p.turn()
	}
}

// units packages units until the source shows another stream, when it returns
// nil.
func (m *Muxer) units(ctx context.Context, src *source, p *packager) error {
	units := src.shown.Units.Reader("hls", hub.LastStart)
	defer units.Close()
	units.Relax()
	units.Watch()
	var in [128]*media.Unit
	for {
		n, lost, err := units.Read(ctx, in[:])
		if err != nil {
			return err
		}
		if src.follow() {
			return nil
		}
		m.missed(lost)
		for i, u := range in[:n] {
			p.unit(u, u.Gap || i == 0 && lost > 0)
		}
		clear(in[:n])
	}
}

// chunks is units by way of the log of MPEG-TS that others read too.
func (m *Muxer) chunks(ctx context.Context, src *source, p *packager) error {
	awake := src.shown.Units.Reader("hls ts", hub.LastStart)
	defer awake.Close()
	awake.Relax()
	_, theirs := src.stream.Tracks()
	_, ours := src.shown.Tracks()
	tracks, err := feed.AwaitTS(ctx, src.shown, awake)
	if media.ClassOf(err) == media.ClassUnsupported {
		return m.refuse(ctx, src, err, theirs, ours)
	}
	if err != nil {
		return err
	}
	log, release := feed.TS(src.shown, tracks)
	defer release()
	chunks := log.Reader("hls", hub.LastStart)
	defer chunks.Close()
	chunks.Relax()
	chunks.Watch()
	awake.Close()
	x := &stretch{of: p}
	p.form = x
	var in [64]mpegts.Chunk
	for {
		n, lost, err := chunks.Read(ctx, in[:])
		if err != nil {
			return err
		}
		if src.follow() {
			return nil
		}
		m.missed(lost)
		for i := range in[:n] {
			x.take(&in[i], i == 0 && lost > 0)
		}
		clear(in[:n])
	}
}

// refuse tells viewers why there is nothing to be packaged, until one of the two
// channels tells of other tracks.
func (m *Muxer) refuse(ctx context.Context, src *source, why error, theirs, ours <-chan struct{}) error {
	m.setUnfit(why)
	defer m.setUnfit(nil)
	m.show()
	select {
	case <-theirs:
	case <-ours:
	case <-ctx.Done():
		return ctx.Err()
	}
	if src.stream.Closed() {
		return io.EOF
	}
	src.follow()
	return nil
}

func (m *Muxer) setUnfit(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unfit = why
}

// show ends the wait for the first segment. Only Run calls it.
func (m *Muxer) show() {
	select {
	case <-m.ready:
	default:
		close(m.ready)
	}
}

// missed counts what was lost by being slow.
func (m *Muxer) missed(n uint64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.lost += n
}

// close gives all files up; with all also the directory.
func (m *Muxer) close(all bool) error {
	m.journal.close()
	m.mu.Lock()
	segments := slices.Clone(m.segments)
	m.mu.Unlock()
	for _, s := range segments {
		if !s.stored() || m.budget.claim(s) {
			m.drop(s)
		}
	}
	return m.store.close(all)
}
