package mpegts

import (
	"slices"
	"time"

	"camrelay/media"
)

// Times of the multiplex.
const (
	// lead is how far the stamps run ahead of the PCR: what a receiver's
	// buffer may hold.
	lead = 100 * time.Millisecond
	// tablesEvery is the distance of tables that makes them due: with units up
	// to 40 ms apart they come every 100 ms at least.
	tablesEvery = 60 * time.Millisecond
	// clockEvery is the greatest distance of PCRs, as long as any unit comes in
	// between.
	clockEvery = 40 * time.Millisecond
	// hole is a distance of units that is none: one after it tells nothing of
	// how much time has passed since the last PCR.
	hole = 2 * time.Second
	// silence is how long tables promise a stream that has never had a unit:
	// receivers wait for what is promised.
	silence = 5 * time.Second
)

// Muxer makes one transport stream.
//
// Its tables list the tracks that it was made for, and what the units tell:
// a track that becomes known with its first unit makes new tables at once, and
// so does one that changes its codec, under another PID, since receivers do not
// look again at what a PID carries. One that never has a unit disappears from
// the tables after 5 s. So all who share its output see what there is, whatever
// was known when it was made.
//
// The PCR rides on the units of the first video track, or of the first track if
// there is no video. Where these are more than 40 ms apart, the other tracks'
// units bring it too; video alone below 25 pictures a second has one PCR for
// each picture, since a clock that comes late tells the wrong time.
type Muxer struct {
	streams          []*stream
	pcrStream        *stream
	pat, pmt         counter
	patBody, pmtBody []byte
	version          byte
	stale            bool   // the tables list what there is no more
	pid              uint16 // of the newest stream

	begun   bool
	start   time.Duration // DTS of the first unit
	now     time.Duration // highest DTS
	tabled  time.Duration // now at the last tables
	clocked time.Duration // time of the last PCR

	parts          [][]byte // of the unit under way, in front of them the PES header
	head, prefix   []byte   // scratch: PES header, ADTS or Opus header
	aud264, aud265 []byte
}

// stream is one track within the multiplex.
type stream struct {
	counter
	track   *media.Track
	adts    adts
	listed  bool // in the tables
	seen    bool // has had a unit
	last    time.Duration
	step    time.Duration // between the last two units
	elapsed time.Duration // by this stream's units since the last PCR
}

// New returns a Muxer for those of the tracks that can be carried.
func New(tracks []*media.Track) *Muxer {
	m := &Muxer{
		pat: counter{pid: pidPAT}, pmt: counter{pid: pidPMT}, pid: pidFirst - 1,
		aud264: []byte(aud264), aud265: []byte(aud265),
	}
	for _, t := range tracks {
		if s := m.add(t); s != nil {
			s.listed = true
		}
	}
	m.list()
	return m
}

// add returns a new stream for t, nil if it cannot be carried.
func (m *Muxer) add(t *media.Track) *stream {
	if !Carries(t) || len(m.streams) == maxStreams {
		return nil
	}
	for taken := true; taken; {
		if m.pid++; m.pid == pidPMT {
			m.pid = pidFirst
		}
		taken = slices.ContainsFunc(m.streams, func(s *stream) bool { return s.pid == m.pid })
	}
	s := &stream{counter: counter{pid: m.pid}}
	s.describe(t)
	m.streams = append(m.streams, s)
	return s
}

func (s *stream) describe(t *media.Track) {
	s.track = t
	s.adts, _ = newADTS(t.AudioConfig)
}

// stream returns the stream of a track as it is now, nil if it is not carried.
func (m *Muxer) stream(t *media.Track) *stream {
	i := slices.IndexFunc(m.streams, func(s *stream) bool { return s.track == t || s.track.ID == t.ID })
	if i < 0 {
		return m.add(t)
	}
	s := m.streams[i]
	switch was := s.track; {
	case was == t:
	case was.Codec != t.Codec, was.Codec == media.CodecOpus && was.Channels != t.Channels, !Carries(t):
		m.streams = slices.Delete(m.streams, i, i+1)
		m.stale = true
		return m.add(t)
	default:
		s.describe(t)
	}
	return s
}

// Chunks appends the chunk of one unit to out; none for a track that cannot be
// carried. The chunk does not alias the unit.
func (m *Muxer) Chunks(u *media.Unit, out []Chunk) []Chunk {
	s := m.stream(u.Track)
	if s == nil || !m.assemble(s, u) {
		return out
	}
	m.advance(s, u)
	tables := m.relist(s, u.Key && u.Track.Kind == media.KindVideo)
	size := 0
	for _, p := range m.parts {
		size += len(p)
	}
	f := field{pcr: -1, random: u.Key, discontinued: u.Gap}
	late := int64(-1) // a PCR that another stream's unit brings
	if s == m.pcrStream && u.DTS > m.clocked {
		f.pcr = m.clock(u.DTS)
	} else if t, ok := m.late(s); ok {
		late = m.clock(t)
	}
	n := packetCount(size, f)
	if tables {
		n += 2
	}
	if late >= 0 {
		n++
	}
	b := make([]byte, 0, n*PacketSize)
	if tables {
		b = m.tables(b)
		m.tabled = m.now
	}
	if late >= 0 {
		b = m.pcrStream.clock(b, late)
	}
	b = s.packets(b, m.parts, size, f)
	clear(m.parts)
	return append(out, Chunk{
		Data: b, Key: u.Key && tables, Wall: u.Wall, Track: u.Track, PTS: u.PTS, DTS: u.DTS, Gap: u.Gap,
	})
}

// advance moves the times of the multiplex on to u.
func (m *Muxer) advance(s *stream, u *media.Unit) {
	if !m.begun {
		m.begun = true
		m.start, m.now = u.DTS, u.DTS
		m.tabled, m.clocked = u.DTS-tablesEvery, u.DTS-time.Millisecond
	}
	m.now = max(m.now, u.DTS)
	if s.step = u.DTS - s.last; !s.seen || s.step > hole {
		s.step = 0
	}
	s.elapsed += s.step
	s.last, s.seen = u.DTS, true
}

// relist brings the tables up to date, and tells whether they are due.
func (m *Muxer) relist(s *stream, start bool) (due bool) {
	changed := !s.listed || m.stale
	m.stale = false
	s.listed = true
	if m.now-m.start >= silence {
		for _, o := range m.streams {
			changed = changed || o.listed && !o.seen
			o.listed = o.listed && o.seen
		}
	}
	if changed {
		m.list()
	}
	return changed || start || m.now-m.tabled >= tablesEvery
}

// clock moves the program clock on to t and returns it. All streams count from it.
func (m *Muxer) clock(t time.Duration) int64 {
	m.clocked = t
	for _, s := range m.streams {
		s.elapsed = 0
	}
	return pcr(m.clocked)
}

// late returns the time for a PCR before this unit of s, if s is not the stream
// that brings it and the next would come too late. Where s does not run level
// with that stream, the distances of its units tell how time has passed.
func (m *Muxer) late(s *stream) (t time.Duration, late bool) {
	passed := s.elapsed
	if d := s.last - m.clocked; d > 0 {
		passed = min(passed, d)
	}
	p := m.pcrStream
	soon := p.step > 0 && p.last+p.step-m.clocked <= clockEvery
	late = s != p && p.seen && !soon && passed > 0 && passed+s.step > clockEvery
	return m.clocked + passed, late
}

// assemble fills m.parts with the PES of the unit, header first, and tells
// whether there is one.
func (m *Muxer) assemble(s *stream, u *media.Unit) bool {
	m.parts = append(m.parts[:0], nil)
	size, id := u.Size(), byte(idVideo)
	if size == 0 {
		return false
	}
	switch u.Track.Codec {
	case media.CodecH264, media.CodecH265:
		m.picture(u)
	case media.CodecAAC:
		if size > maxFrame {
			return false
		}
		id = idAudio
		h := s.adts.frame(size)
		m.prefix = append(m.prefix[:0], h[:]...)
	default:
		id = idPrivate
		m.prefix = appendOpusControl(m.prefix[:0], size)
	}
	if id != idVideo {
		size += len(m.prefix)
		m.parts = append(append(m.parts, m.prefix), u.Data...)
	}
	m.head = appendPES(m.head[:0], id, size, u)
	m.parts[0] = m.head
	return true
}
