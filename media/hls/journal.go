package hls

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The journal of a stream lists what its playlist lists, so that another
// process goes on with those segments after this one was killed. It is text: a
// first line that names the format, then one of the epoch and for each segment
//
//	z EPOCH
//	t INIT TRACKS
//	s NAME INIT SEQUENCE DISCONTINUITIES FLAGS WALL FROM RUN
//	p DURATION SIZE FRAMES SECOND INDEPENDENT FIRST
//	e DURATION KEYS FIRST
//
// with a line p for each part before that is listed, and e at its end. Times are
// in nanoseconds, WALL since 1970, FROM and RUN, where its run begins, in media
// time; a line t stands before the first segment of an init segment, with its
// tracks as JSON in base64; FLAGS are d of a discontinuity, i of a key
// frame at the beginning, and -; INIT is - without one; FIRST is the
// number of the first segment that is listed then, and those before have files
// yet. What precedes a gap is not in it.
const journalHead = "camrelay hls window 2\n"

const (
	// maxJournal is how much is appended to the journal before it is written anew,
	// or as much as was written then, whichever is more.
	maxJournal = 16 << 10
	// longest is more than a window of an hour takes in parts of 100 ms.
	longest = 16 << 20
	// outdated is how long after the last part nobody waits for what is listed.
	outdated = 30 * time.Second

	journalName      = "hls.window"
	transportJournal = "ts.window"
	journalDraft     = ".new" // added to the name while it is written
)

// journal is the file that a Muxer appends to. Run alone uses it.
type journal struct {
	file *os.File // nil until it is written, and after an error
	base int      // bytes when it was written anew
	size int
	line []byte // reused
	init string // whose tracks are in the file
}

// appendSegment appends the line that begins a segment, after that of its tracks
// unless they are in the file already.
func (j *journal) appendSegment(b []byte, s *segment) []byte {
	if text, err := json.Marshal(s.init.tracks); err == nil && s.init.tracks != nil && s.init.name != j.init {
		j.init = s.init.name
		b = append(append(append(b, "t "...), s.init.name...), ' ')
		b = append(base64.RawStdEncoding.AppendEncode(b, text), '\n')
	}
	flags := "-"
	if s.discontinuity {
		flags += "d"
	}
	if s.independent {
		flags += "i"
	}
	init := s.init.name
	if init == "" {
		init = "-"
	}
	b = append(append(append(append(b, "s "...), s.name...), ' '), init...)
	b = append(strconv.AppendUint(append(b, ' '), s.sequence, 10), ' ')
	b = append(append(append(strconv.AppendUint(b, s.number, 10), ' '), flags...), ' ')
	b = append(strconv.AppendInt(b, s.wall.UnixNano(), 10), ' ')
	b = append(strconv.AppendInt(b, int64(s.from), 10), ' ')
	return append(strconv.AppendInt(b, int64(s.run), 10), '\n')
}

// appendFields appends a line of numbers.
func appendFields(b []byte, kind byte, fields ...int64) []byte {
	b = append(b, kind)
	for _, n := range fields {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	return append(b, '\n')
}

func appendPartLine(b []byte, p part, first uint64) []byte {
	independent := int64(0)
	if p.independent {
		independent = 1
	}
	return appendFields(b, 'p', int64(p.duration), p.size, int64(p.frames), int64(p.second), independent, int64(first))
}

func appendEnd(b []byte, s *segment, first uint64) []byte {
	return appendFields(b, 'e', int64(s.duration), int64(s.keys), int64(first))
}

// write appends b to the file. After an error there is none until it is written
// anew.
func (j *journal) write(b []byte) error {
	if j.file == nil {
		return nil
	}
	n, err := j.file.Write(b)
	j.size += n
	if err != nil {
		j.close()
	}
	return err
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close() // nothing is buffered
		j.file = nil
	}
}

// note appends a part of s that is written and about to be listed.
func (m *Muxer) note(s *segment, p part) {
	m.mu.Lock()
	first := m.first // another stream may have needed room
	m.mu.Unlock()
	b := m.journal.line[:0]
	if !s.noted {
		s.noted = true
		b = m.journal.appendSegment(b, s)
	}
	m.journal.line = appendPartLine(b, p, first)
	m.noted(m.journal.write(m.journal.line))
}

// noteEnd appends the end of s, which is listed, and writes the journal anew if
// it has become long or is not there.
func (m *Muxer) noteEnd(s *segment) {
	if m.journal.file == nil || m.journal.size > m.journal.base+max(m.journal.base, maxJournal) || s.gap {
		m.noteAll()
		return
	}
	m.mu.Lock()
	b := appendEnd(m.journal.line[:0], s, m.first)
	m.mu.Unlock()
	m.journal.line = b
	m.noted(m.journal.write(b))
}

// forget removes the journal: nothing is to be inherited until it is written anew.
func (m *Muxer) forget() {
	m.journal.close()
	m.noted(m.store.removeJournal())
}

// noteAll writes the journal anew.
func (m *Muxer) noteAll() {
	m.journal.close()
	head := func(b []byte) []byte {
		m.journal.init = ""
		return m.epoch.appendMark(append(b[:0], journalHead...))
	}
	b := head(m.journal.line)
	m.mu.Lock()
	for _, s := range m.segments { // also those that have just left the playlist
		if s.gap {
			b = head(b)
			continue
		}
		b = m.journal.appendSegment(b, s)
		for _, p := range s.parts {
			b = appendPartLine(b, p, m.first)
		}
		b = appendEnd(b, s, m.first)
	}
	m.mu.Unlock()
	m.journal.line = b
	f, err := m.store.replaceJournal(b)
	m.journal.file, m.journal.base, m.journal.size = f, len(b), len(b)
	m.noted(err)
}

// noted handles the error of an attempt to write the journal, which is missed
// only if the process is killed. One that is behind what is listed is worse than
// none.
func (m *Muxer) noted(err error) {
	if err != nil {
		err = errors.Join(err, m.store.removeJournal())
	}
	if err != nil && !isFull(err) {
		m.log.Debug("cannot note HLS segments", "err", err)
	}
}

// replaceJournal writes the journal at once and opens it for appending.
func (s *store) replaceJournal(b []byte) (f *os.File, err error) {
	name := path.Join(s.dir, s.form.journal())
	f, err = s.root.OpenFile(name+journalDraft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		err = s.root.Rename(name+journalDraft, name)
	}
	if err != nil {
		f.Close() // it is removed
		return nil, errors.Join(err, s.removeJournal())
	}
	return f, nil
}

// removeJournal removes the journal and what is left of drafts.
func (s *store) removeJournal() (err error) {
	for _, name := range []string{s.form.journal(), s.form.journal() + journalDraft} {
		if e := s.remove(name); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// left returns the segments that another process had, oldest first, and the
// number of the first that it has listed last; none if nobody waits for them any
// more.
func (s *store) left(now time.Time) (all []*segment, first uint64) {
	f, err := s.open(s.form.journal())
	if err != nil {
		return nil, 0
	}
	defer f.Close() // it was only read
	st, err := f.Stat()
	if err != nil || now.Sub(st.ModTime()).Abs() > outdated {
		return nil, 0
	}
	b, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return nil, 0
	}
	return parseJournal(b, s.form)
}

// parseJournal returns the segments in a journal, each of which follows the one
// before, and the number of the first that is listed; those before a line that
// makes no sense are not among them.
func parseJournal(b []byte, f form) (all []*segment, first uint64) {
	rest, ok := bytes.CutPrefix(b, []byte(journalHead))
	if !ok {
		return nil, 0
	}
	inits := make(map[string]*initSegment)
	var open *segment
	for line := range bytes.Lines(rest) {
		words := strings.Fields(string(line))
		if line[len(line)-1] != '\n' || len(words) == 0 {
			break // it was not written to the end
		}
		switch s := open; {
		case words[0] == "z": // markIn reads it
		case words[0] == "t":
			parseTracks(words[1:], f, inits)
		case words[0] == "s":
			if open = parseSegment(words[1:], f, inits); open == nil {
				all = nil
				break
			}
			if n := len(all); n > 0 && all[n-1].sequence+1 != open.sequence {
				all = nil
			}
			all = append(all, open)
		case s == nil || !s.parseLine(words, &first):
			all, open = nil, nil
		}
	}
	if n := len(all); n > 0 && len(all[n-1].parts) == 0 {
		all = all[:n-1] // it was never listed
	}
	return all, first
}

func parseSegment(words []string, f form, inits map[string]*initSegment) *segment {
	if len(words) != 8 {
		return nil
	}
	of, ok := formOf(words[0])
	sequence, serr := strconv.ParseUint(words[2], 10, 63)
	number, nerr := strconv.ParseUint(words[3], 10, 63)
	wall, werr := strconv.ParseInt(words[5], 10, 64)
	from, ferr := strconv.ParseUint(words[6], 10, 62)
	run, rerr := strconv.ParseUint(words[7], 10, 62)
	if !ok || of != f || errors.Join(serr, nerr, werr, ferr, rerr) != nil {
		return nil
	}
	init := inits[words[1]]
	if init == nil {
		init = &initSegment{}
		if words[1] != "-" {
			init.name = words[1]
		}
		if of, ok := formOf(init.name); (init.name == "") != (f == transport) || f == fragmented && (!ok || of != f) {
			return nil
		}
		inits[words[1]] = init
	}
	return &segment{
		name: words[0], init: init, sequence: sequence, number: number, wall: time.Unix(0, wall), noted: true,
		discontinuity: strings.Contains(words[4], "d"), independent: strings.Contains(words[4], "i"),
		from: time.Duration(from), run: time.Duration(run),
	}
}

// parseTracks notes the tracks of an init segment. Who takes them over sees
// whether they are those.
func parseTracks(words []string, f form, inits map[string]*initSegment) {
	if len(words) != 2 {
		return
	}
	text, err := base64.RawStdEncoding.DecodeString(words[1])
	if of, ok := formOf(words[0]); err != nil || !ok || of != f {
		return
	}
	in := &initSegment{name: words[0]}
	if json.Unmarshal(text, &in.tracks) == nil && !slices.Contains(in.tracks, nil) {
		inits[in.name] = in
	}
}

// numbersIn reads numbers from 0 up to a day in nanoseconds.
func numbersIn(words []string, want int) (n [6]int64, ok bool) {
	if len(words) != want {
		return n, false
	}
	for i, w := range words {
		v, err := strconv.ParseInt(w, 10, 64)
		if err != nil || v < 0 || v > int64(24*time.Hour) {
			return n, false
		}
		n[i] = v
	}
	return n, true
}

// parseLine adds what a line about s tells; a line of another kind tells nothing.
func (s *segment) parseLine(words []string, first *uint64) bool {
	switch words[0] {
	case "p":
		return s.parsePart(words[1:], first)
	case "e":
		return s.parseEnd(words[1:], first)
	}
	return true
}

func (s *segment) parsePart(words []string, first *uint64) bool {
	n, ok := numbersIn(words, 6)
	if !ok || n[1] == 0 {
		return false
	}
	*first = uint64(n[5])
	p := part{
		offset: s.size, duration: time.Duration(n[0]), size: n[1], frames: int(n[2]), second: int(n[3]),
		independent: n[4] != 0,
	}
	s.parts = append(s.parts, p)
	s.size += p.size
	s.duration += p.duration
	s.frames += p.frames
	s.second += p.second
	return true
}

func (s *segment) parseEnd(words []string, first *uint64) bool {
	n, ok := numbersIn(words, 3)
	if ok {
		s.duration, s.keys, *first = time.Duration(n[0]), time.Duration(n[1]), uint64(n[2])
	}
	return ok
}
