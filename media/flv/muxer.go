package flv

import (
	"bytes"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// Config says what a Muxer muxes.
type Config struct {
	Video, Audio *media.Track // as Choose returns them; nil for none
	Extras       Extras       // as given to Choose: what a track may turn into, and how H.265 is written
	Encoder      string       // name and version of this program, for the metadata
	Bitrate      float64      // bit/s of video as measured; 0 if not known
	Open         bool         // a track of a kind that is nil is taken up with its first unit
}

// Muxer turns the units of one stream into tags.
//
// It begins at the first key frame, whose DTS becomes time 0 (without video,
// at the first audio frame): metadata, sequence headers, then media. What
// comes before is left out, and so are pictures between a gap and the next key
// frame. Changed parameters make new headers.
//
// Tags leave in order of time. For that a unit waits until the other track has
// come as far, at most for 300 ms of stream time; a track that lags behind by
// more keeps its true stamps, so that they fall from one track to the other.
// Within a track they never fall.
type Muxer struct {
	cfg          Config
	video, audio lane
	began        bool
	base         time.Duration
}

// lane is one of the two tracks.
type lane struct {
	track   *media.Track
	record  []byte // of the last sequence header
	waiting []*media.Unit
	seen    time.Duration // DTS of the newest unit
	last    int64         // ms of the last tag
	skip    bool          // until the next key frame
}

const (
	// hold is how long a unit waits for the other track, in stream time.
	hold = 300 * time.Millisecond
	// maxWaiting bounds what waits if times do not rise as they should.
	maxWaiting = 256
)

// New returns a muxer for the tracks of cfg.
func New(cfg Config) *Muxer {
	return &Muxer{cfg: cfg, video: lane{track: cfg.Video, skip: true}, audio: lane{track: cfg.Audio}}
}

// Tags appends the tags that can be written now that u is there, and returns
// the longer slice. Units of other tracks are ignored. u is kept until it has
// been written; the tags alias its media.
func (m *Muxer) Tags(u *media.Unit, out []Tag) []Tag {
	l := m.lane(u.Track)
	if l == nil || len(u.Data) == 0 {
		return out
	}
	if l == &m.video {
		l.skip = (l.skip || u.Gap) && !u.Key
		if l.skip {
			return out
		}
	}
	if l.track == nil {
		l.track, l.seen = u.Track, u.DTS
		if m.began {
			out = m.announce(l, out)
		}
	}
	if !m.began {
		if m.video.track != nil && l != &m.video {
			return out
		}
		m.began, m.base = true, u.DTS
		m.video.seen, m.audio.seen = u.DTS, u.DTS
		out = m.begin(out)
	}
	if u.DTS < m.base { // audio from before the first picture
		return out
	}
	l.seen = max(l.seen, u.DTS)
	l.waiting = append(l.waiting, u)
	return m.release(out)
}

// Flush appends the tags of the units that still wait, and returns the longer
// slice.
func (m *Muxer) Flush(out []Tag) []Tag {
	for {
		l, _ := m.oldest()
		if l == nil {
			return out
		}
		out = m.tag(l, out)
	}
}

// lane returns the lane of a track, nil for one that is left out.
func (m *Muxer) lane(t *media.Track) *lane {
	l := &m.video
	if t.Kind == media.KindAudio {
		l = &m.audio
	}
	switch was := l.track; {
	case was == nil && !m.cfg.Open, was != nil && was.ID != t.ID:
		return nil
	case (was == nil || was.Codec != t.Codec) && carries(t, m.cfg.Extras) != "":
		return nil
	}
	return l
}

// release appends the tags of the units that need not wait any longer.
func (m *Muxer) release(out []Tag) []Tag {
	for {
		l, other := m.oldest()
		if l == nil {
			return out
		}
		dts := l.waiting[0].DTS
		if other.track != nil && dts > other.seen && l.seen-dts < hold && len(l.waiting) < maxWaiting {
			return out
		}
		out = m.tag(l, out)
	}
}

// oldest returns the lane whose next unit comes first, and the other.
func (m *Muxer) oldest() (l, other *lane) {
	v, a := &m.video, &m.audio
	switch {
	case len(v.waiting) == 0 && len(a.waiting) == 0:
		return nil, nil
	case len(a.waiting) == 0, len(v.waiting) > 0 && v.waiting[0].DTS <= a.waiting[0].DTS:
		return v, a
	}
	return a, v
}

// tag appends the tag of the lane's next unit, behind new headers if its
// parameters are new.
func (m *Muxer) tag(l *lane, out []Tag) []Tag {
	u := l.waiting[0]
	n := copy(l.waiting, l.waiting[1:])
	l.waiting[n] = nil
	l.waiting = l.waiting[:n]

	ts := max(milliseconds(u.DTS-m.base), l.last)
	l.last = ts
	if u.Track != l.track {
		out = m.change(l, u.Track, out)
	}
	if l == &m.audio {
		return append(out, audioTag(u, ts))
	}
	if g := m.videoTag(u, ts, milliseconds(u.PTS-m.base)-ts); len(g.Data) > 0 {
		out = append(out, g)
	}
	return out
}

// begin appends the metadata and the sequence headers.
func (m *Muxer) begin(out []Tag) []Tag {
	out = append(out, m.metadata(0))
	for _, l := range []*lane{&m.video, &m.audio} {
		if l.track == nil {
			continue
		}
		l.record = record(l.track)
		out = append(out, m.header(l.track, l.record, 0))
	}
	return out
}

// announce appends what tells of a lane that has just got its track.
func (m *Muxer) announce(l *lane, out []Tag) []Tag {
	l.last = max(m.video.last, m.audio.last)
	l.record = record(l.track)
	return append(out, m.metadata(l.last), m.header(l.track, l.record, l.last))
}

// change makes t the lane's track and appends the headers that changed.
func (m *Muxer) change(l *lane, t *media.Track, out []Tag) []Tag {
	old := l.track
	l.track = t
	r := record(t)
	if bytes.Equal(r, l.record) {
		return out
	}
	l.record = r
	if old.Width != t.Width || old.Height != t.Height || old.SampleRate != t.SampleRate || old.Channels != t.Channels {
		out = append(out, m.metadata(l.last))
	}
	return append(out, m.header(t, r, l.last))
}

// record returns what describes the track to a decoder.
func record(t *media.Track) []byte {
	switch t.Codec {
	case media.CodecH264:
		return avcRecord(t)
	case media.CodecH265:
		return hevcRecord(t)
	case media.CodecOpus:
		return opusHead(t)
	}
	return t.AudioConfig
}

// milliseconds rounds d to the nearest millisecond, each stamp by itself, so
// that rounding never adds up.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond/2) / time.Millisecond)
}

// payload returns the NAL units of u without those that have no place in a
// sample: delimiters and filler say nothing, the track's parameter sets stand
// in the sequence header. It is u.Data itself where there are none.
func payload(u *media.Unit) [][]byte {
	for i, n := range u.Data {
		if !stays(u.Track, n) {
			kept := append(make([][]byte, 0, len(u.Data)-1), u.Data[:i]...)
			for _, n := range u.Data[i+1:] {
				if stays(u.Track, n) {
					kept = append(kept, n)
				}
			}
			return kept
		}
	}
	return u.Data
}

func stays(t *media.Track, nal []byte) bool {
	switch codec.ClassOf(t.Codec, nal) {
	case codec.Delimiter, codec.Filler, codec.Other:
		return false
	case codec.Params: // a second set with another id is not in the sequence header
		return !bytes.Equal(nal, t.SPS) && !bytes.Equal(nal, t.PPS) && !bytes.Equal(nal, t.VPS)
	}
	return true
}

// metadata returns the onMetaData tag (§E.5).
func (m *Muxer) metadata(ts int64) Tag {
	a := Array{{"duration", 0.0}}
	if t := m.video.track; t != nil {
		a = append(a, Property{"width", float64(t.Width)}, Property{"height", float64(t.Height)})
		if t.FrameRate > 0 {
			a = append(a, Property{"framerate", t.FrameRate})
		}
		a = append(a, Property{"videocodecid", m.codecID(t)})
		if m.cfg.Bitrate > 0 {
			a = append(a, Property{"videodatarate", float64(int(m.cfg.Bitrate / 1000))})
		}
	}
	if t := m.audio.track; t != nil {
		a = append(a, Property{"audiocodecid", m.codecID(t)}, Property{"audiosamplerate", float64(t.SampleRate)},
			Property{"audiosamplesize", 16.0}, Property{"audiochannels", float64(t.Channels)},
			Property{"stereo", t.Channels > 1})
	}
	if m.cfg.Encoder != "" {
		a = append(a, Property{"encoder", m.cfg.Encoder})
	}
	body := AppendScript(nil, "onMetaData", a)
	return Tag{Type: Script, Timestamp: uint32(ts), Header: true, Data: [][]byte{body}}
}
