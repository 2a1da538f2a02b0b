package mpegts

import (
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// Times of the multiplex.
const (
	clock = 90000
	// lead is how far the stamps run ahead of the PCR: what a receiver's
	// buffer may hold.
	lead = 100 * time.Millisecond
	// tablesEvery is the greatest distance of tables, by the stamps.
	tablesEvery = 90 * time.Millisecond
	wrap        = 1 << 33
)

// Muxer makes one transport stream. The tracks are fixed with the first unit's
// stream; a unit of a track that the Muxer was not made for is left out.
type Muxer struct {
	streams  []*stream // by track ID, nil where a track is not carried
	byID     map[int]*stream
	pcrPID   uint16
	pat, pmt counter
	tabled   time.Duration // DTS of the last tables
	begun    bool
	parts    [][]byte // of the unit under way
	scratch  []byte
}

type stream struct {
	counter
	track *media.Track
}

// New returns a Muxer for those of the tracks that can be carried.
func New(tracks []*media.Track) *Muxer {
	m := &Muxer{byID: make(map[int]*stream), pat: counter{pid: pidPAT}, pmt: counter{pid: pidPMT}}
	for _, t := range tracks {
		if !Carries(t) {
			continue
		}
		s := &stream{counter: counter{pid: uint16(pidFirst + len(m.streams))}, track: t}
		m.streams = append(m.streams, s)
		m.byID[t.ID] = s
		if m.pcrPID == 0 || t.Kind == media.KindVideo {
			m.pcrPID = s.pid
		}
	}
	return m
}

// Chunks appends the chunk of one unit to out; none for a track that is not
// carried. The chunk does not alias the unit.
func (m *Muxer) Chunks(u *media.Unit, out []Chunk) []Chunk {
	s := m.byID[u.Track.ID]
	if s == nil || len(u.Data) == 0 {
		return out
	}
	s.track = u.Track
	head, ok := m.assemble(s, u)
	if !ok {
		return out
	}
	size := len(head)
	for _, p := range m.parts {
		size += len(p)
	}
	b := make([]byte, 0, (size/payloadSize+4)*PacketSize)
	key := u.Key
	if key || !m.begun || u.DTS-m.tabled >= tablesEvery || u.DTS < m.tabled {
		b = m.tables(b)
		m.tabled, m.begun = u.DTS, true
	}
	f := field{pcr: -1, random: key, discontinued: u.Gap}
	if s.pid == m.pcrPID {
		f.pcr = pcr(u.DTS)
	}
	b = s.packets(b, head, m.parts, f)
	clear(m.parts)
	return append(out, Chunk{Data: b, Key: key})
}

// pcr returns the program clock at which a unit of this DTS leaves, 27 MHz.
func pcr(dts time.Duration) int64 {
	t := media.ToTicks(dts, clock*300) % (wrap * 300)
	return (t + wrap*300) % (wrap * 300)
}

// stamp returns a time stamp as a PES holds it.
func stamp(t time.Duration) int64 {
	return (media.ToTicks(t, clock) + media.ToTicks(lead, clock)) & (wrap - 1)
}

// assemble fills m.parts with the payload of the unit's PES, and returns the
// PES header.
func (m *Muxer) assemble(s *stream, u *media.Unit) (head []byte, ok bool) {
	m.parts = m.parts[:0]
	size := 0
	id := byte(0xc0)
	switch s.track.Codec {
	case media.CodecH264, media.CodecH265:
		id = 0xe0
		m.video(s.track, u)
	case media.CodecAAC:
		h, err := adts(s.track.AudioConfig, u.Size())
		if err != nil {
			return nil, false
		}
		m.parts = append(append(m.parts, h), u.Data...)
	case media.CodecOpus:
		id = 0xbd
		m.parts = append(append(m.parts, opusControl(u.Size())), u.Data...)
	}
	if id != 0xe0 {
		for _, p := range m.parts {
			size += len(p)
		}
	}
	m.scratch = pes(m.scratch[:0], id, size, stamp(u.PTS), stamp(u.DTS))
	return m.scratch, true
}

// pes appends a PES header. size is that of the payload, 0 where it is left
// open. Specification: ISO 13818-1 2.4.3.6.
func pes(b []byte, id byte, size int, pts, dts int64) []byte {
	flags, n := byte(0x80), 5
	if dts != pts {
		flags, n = 0xc0, 10
	}
	if size += 3 + n; size > 0xffff || id == 0xe0 {
		size = 0
	}
	b = append(b, 0, 0, 1, id, byte(size>>8), byte(size), 0x84, flags, byte(n))
	b = ticks(b, flags>>2&0xf0, pts)
	if n == 10 {
		b = ticks(b, 0x10, dts)
	}
	return b
}

// ticks appends a 33-bit time stamp with its marker bits.
func ticks(b []byte, prefix byte, t int64) []byte {
	return append(b, prefix|byte(t>>29)&0x0e|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

var (
	startCode = []byte{0, 0, 0, 1}
	aud264    = []byte{0, 0, 0, 1, 0x09, 0xf0}
	aud265    = []byte{0, 0, 0, 1, 0x46, 0x01, 0x50}
)

// video lays out a picture: an access unit delimiter, which receivers want;
// the parameter sets before a key picture that has none; the NAL units.
func (m *Muxer) video(t *media.Track, u *media.Unit) {
	if t.Codec == media.CodecH264 {
		m.parts = append(m.parts, aud264)
	} else {
		m.parts = append(m.parts, aud265)
	}
	if u.Key && !slices.ContainsFunc(u.Data, func(n []byte) bool { _, ok := codec.ParameterSet(t.Codec, n); return ok }) {
		for _, set := range [][]byte{t.VPS, t.SPS, t.PPS} {
			if len(set) > 0 {
				m.parts = append(m.parts, startCode, set)
			}
		}
	}
	for _, nal := range u.Data {
		if len(nal) > 0 && !codec.IsAUD(t.Codec, nal) {
			m.parts = append(m.parts, startCode, nal)
		}
	}
}
