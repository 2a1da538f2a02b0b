package hls

import (
	"container/list"
	"os"
	"strconv"
	"strings"
	"time"

	"camrelay/media"
)

// segment is one media segment. Its Muxer's Run fills it; what is marked with
// an asterisk is guarded by Muxer.mu from the moment it is published in part.
type segment struct {
	owner         *Muxer
	name          string
	sequence      uint64
	discontinuity bool
	number        uint64 // of the discontinuity that it follows, since the beginning
	init          *initSegment
	independent   bool
	start         time.Duration // stream time of its first unit
	from          time.Duration // media time at which its first unit is shown
	run           time.Duration // from of the first segment since the discontinuity
	wall          time.Time
	file          *os.File // open while it grows
	reserved      int64    // bytes taken from the budget
	noted         bool     // it is in the journal

	size     int64         // * bytes in the file
	parts    []part        // *
	duration time.Duration // * so far, of an open segment
	second   int           // * bytes that the second track alone would need
	gap      bool          // * it could not be written: there is no file, unless it was kept
	kept     bool          // * of a gap: there is a file, of the parts that could be written
	odd      bool          // * its parts are not listed: they are from before PART-TARGET was fixed
	frames   int           // * of the track that leads
	keys     time.Duration // * longest interval of key frames that ended in it, 0 without one
	left     time.Time     // * when it left the playlist
	expires  time.Time     // * when the file may go, once it is out of the playlist

	listed  *list.Element // guarded by Budget.mu
	leaving bool          // guarded by Budget.mu: it leaves the playlist, or has left it, for want of room
	until   time.Time     // guarded by Budget.mu: kept so long; zero until the playlist is without it
}

// session returns the session in its name.
func (s *segment) session() string { return s.name[:sessionDigits] }

// stored tells whether there is a file. mu is held.
func (s *segment) stored() bool { return !s.gap || s.kept }

// part is a run of bytes of a segment that was written at once. The parts of a
// gap have none.
type part struct {
	offset, size int64
	duration     time.Duration
	frames       int  // of the track that leads
	second       int  // bytes that the second track alone would need
	independent  bool // begins with a key frame
}

// initSegment describes the tracks of segments. refs counts the segments that
// need it and the packager while it is the current one.
type initSegment struct {
	name   string // empty: there is no such file
	data   []byte
	tracks []*media.Track

	written bool // guarded by Muxer.mu
	refs    int  // guarded by Muxer.mu
}

// Names of files. A session is sessionDigits lower-case hexadecimal digits.
const (
	sessionDigits   = 8
	mediaSuffix     = ".m4s"
	transportSuffix = ".ts"
	initPrefix      = "init"
	initSuffix      = ".mp4"
	stateName       = "hls.state"
	transportState  = "ts.state"
)

func mediaName(session string, sequence uint64) string {
	return session + "-" + strconv.FormatUint(sequence, 10) + mediaSuffix
}

func transportName(session string, n int) string {
	return session + "-" + strconv.Itoa(n) + transportSuffix
}

func initName(session string, n int) string {
	return session + "-" + initPrefix + strconv.Itoa(n) + initSuffix
}

// isOwn tells whether name is one of a segment or init segment of ours.
func isOwn(name string) bool {
	_, ok := formOf(name)
	return ok
}

// formOf returns the format of the segment or init segment of that name; false
// if it is none of ours.
func formOf(name string) (form, bool) {
	if len(name) <= sessionDigits || name[sessionDigits] != '-' {
		return fragmented, false
	}
	for i := range sessionDigits {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fragmented, false
		}
	}
	rest := name[sessionDigits+1:]
	if n, ok := strings.CutSuffix(rest, mediaSuffix); ok {
		return fragmented, isNumber(n)
	}
	if n, ok := strings.CutSuffix(rest, transportSuffix); ok {
		return transport, isNumber(n)
	}
	n, ok := strings.CutSuffix(rest, initSuffix)
	if !ok {
		return fragmented, false
	}
	n, ok = strings.CutPrefix(n, initPrefix)
	return fragmented, ok && isNumber(n)
}

// partName names part n of a segment. There is no file of that name.
func partName(session string, sequence uint64, n int) string {
	return session + "-" + strconv.FormatUint(sequence, 10) + "." + strconv.Itoa(n) + mediaSuffix
}

// parsePart is the opposite of partName.
func parsePart(name string) (session string, sequence uint64, n int, ok bool) {
	rest, ok := strings.CutSuffix(name, mediaSuffix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 || !isOwn(rest[:dot]+mediaSuffix) || !isNumber(rest[dot+1:]) {
		return "", 0, 0, false
	}
	session, rest = rest[:sessionDigits], rest[sessionDigits+1:]
	seq, part, _ := strings.Cut(rest, ".")
	sequence, err := strconv.ParseUint(seq, 10, 64)
	n, perr := strconv.Atoi(part)
	return session, sequence, n, err == nil && perr == nil
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}
