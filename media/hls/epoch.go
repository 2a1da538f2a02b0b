package hls

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// epoch is the time of day that is media time 0 of all streams: players that
// switch between the variants of a ladder find the same moment at the same time
// stamp (RFC 8216 §6.2.4). The journals hand it on to the next process, so that what
// is listed from before stands at its time on one time line.
type epoch struct {
	mu   sync.Mutex // guards what follows
	zero time.Time
	mark time.Duration // zero by the monotonic clock of the system; 0: it is not known
	used bool
	kept bool // it is that of another process
}

// newEpoch returns the epoch of the process before, or one that begins now. A clock
// that was set between the two moves nothing.
func newEpoch(root *os.Root) *epoch {
	e := &epoch{zero: time.Now()}
	at, now := markIn(root, e.zero), monotonic()
	if at > 0 && at <= now {
		e.zero, e.mark = e.zero.Add(at-now), at
		e.used, e.kept = true, true
	}
	return e
}

// markIn returns the mark of an epoch in a journal that another process has left
// just now, 0 if there is none.
func markIn(root *os.Root, now time.Time) (mark time.Duration) {
	d, err := root.Open(".")
	if err != nil {
		return 0
	}
	defer d.Close()             // it was only read
	entries, _ := d.ReadDir(-1) // what cannot be listed cannot be inherited either
	for _, e := range entries {
		f, err := root.Open(path.Join(e.Name(), journalName))
		if err != nil {
			continue
		}
		var b [len(journalHead) + 32]byte
		n, _ := f.Read(b[:]) // a journal that cannot be read has no mark
		st, err := f.Stat()
		f.Close() // it was only read
		rest, ok := bytes.CutPrefix(b[:n], []byte(journalHead))
		if err != nil || !ok || now.Sub(st.ModTime()).Abs() > outdated {
			continue
		}
		if _, err := fmt.Sscanf(string(rest), "z %d\n", &mark); err == nil {
			return mark
		}
	}
	return 0
}

// monotonic returns the clock that time.Now reads beside that of the day, 0 if it
// cannot be read. After a boot it begins anew.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// appendMark appends the line of a journal that tells the next process.
func (e *epoch) appendMark(b []byte) []byte {
	if e == nil {
		return b
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return appendFields(b, 'z', int64(e.mark))
}

// inherited tells whether times of the process before are true.
func (e *epoch) inherited() bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.kept
}

// spare is how far before the first group of pictures an epoch lies that was
// moved: the other streams have theirs.
const spare = 10 * time.Second

// since returns the media time of a moment. A camera that ran before the Server
// was made has pictures from before the epoch: the first of them moves it. A
// clock that is set back later makes no negative time.
func (e *epoch) since(t time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.used {
		if t.Before(e.zero) {
			e.zero = t.Add(-spare)
		}
		e.used = true
		e.mark = monotonic() - time.Since(e.zero)
	}
	return max(0, t.Sub(e.zero))
}
