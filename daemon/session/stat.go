package session

import "time"

// State is how a session is.
type State string

// The states of a session.
const (
	Starting State = "starting" // no media has moved yet
	Active   State = "active"   // media moves
	Stalled  State = "stalled"  // media moved, and has rested for too long
	Closing  State = "closing"  // kicked, its owner has not closed it yet
)

// Stat is a snapshot of a session, in lal's terms where it has them. Every
// session has every field. One kbit is 1000 bit; bitrates are those of the last
// 5 s and are brought up to date each second.
type Stat struct {
	ID           string    `json:"session_id"`
	Protocol     string    `json:"protocol"`
	BaseType     string    `json:"base_type"`
	Kind         Kind      `json:"kind"`
	Published    *bool     `json:"published"` // nil: neither, see Kind.Published
	Path         string    `json:"path"`
	Push         string    `json:"push"` // name of the push, empty for all others
	URL          string    `json:"url"`  // without secrets
	Remote       string    `json:"remote_addr"`
	User         string    `json:"user"`
	UserAgent    string    `json:"user_agent"`
	Start        time.Time `json:"start_time"`
	Uptime       float64   `json:"uptime_seconds"` // by the monotonic clock
	State        State     `json:"state"`
	Alive        bool      `json:"alive"` // media moved within the time that Registry.SetStalledAfter sets
	Read         uint64    `json:"read_bytes_sum"`
	Wrote        uint64    `json:"wrote_bytes_sum"`
	Bitrate      int       `json:"bitrate_kbits"` // read for pulls, written for all others
	ReadBitrate  int       `json:"read_bitrate_kbits"`
	WriteBitrate int       `json:"write_bitrate_kbits"`
	Note         string    `json:"note"` // what of the stream it does not get; empty: nothing
}

// Stat returns how the session is now. Sums are live.
func (s *Session) Stat(now time.Time) Stat {
	read, wrote := s.counts()
	st := Stat{
		ID: s.ID, Protocol: s.Protocol, BaseType: s.Kind.BaseType(), Kind: s.Kind, Published: s.Kind.Published(),
		Path: s.Path, Push: s.Push, URL: s.URL, Remote: s.Remote, User: s.User, UserAgent: s.UserAgent,
		Start: s.Start.Round(0), Uptime: now.Sub(s.Start).Seconds(), Read: read, Wrote: wrote,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.ReadBitrate, st.WriteBitrate = s.read.kbits(now), s.wrote.kbits(now)
	st.Bitrate = st.WriteBitrate
	if s.Kind == Pull {
		st.Bitrate = st.ReadBitrate
	}
	st.State, st.Note = s.state(now), s.note
	st.Alive = s.moving(now)
	return st
}

// State returns the state alone.
func (s *Session) State(now time.Time) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state(now)
}

// state is State. mu is held.
func (s *Session) state(now time.Time) State {
	switch {
	case s.kicked != nil || s.closed:
		return Closing
	case s.moved.IsZero():
		return Starting
	case s.moving(now):
		return Active
	}
	return Stalled
}

// moving tells whether media has moved lately. mu is held.
func (s *Session) moving(now time.Time) bool {
	return !s.moved.IsZero() && now.Sub(s.moved) <= time.Duration(s.reg.stalled.Load())
}

// window is the time over which bitrates are taken.
const window = 5 * time.Second

// rate turns samples of a rising sum into a bitrate. It keeps only the samples
// at which the sum had changed, and measures from change to change: what comes
// in segments of two seconds has the same rate at any time.
type rate struct {
	marks [2 * int(window/period)]mark // a ring
	n     int                          // marks so far, the newest is (n-1) % len
}

// mark is a sum at a time.
type mark struct {
	at  time.Time
	sum uint64
}

func (r *rate) start(now time.Time) {
	r.marks[0], r.n = mark{at: now}, 1
}

// note takes a sample and tells whether the sum has risen.
func (r *rate) note(now time.Time, sum uint64) bool {
	last := &r.marks[(r.n-1)%len(r.marks)]
	if sum <= last.sum {
		return false
	}
	if now.Sub(last.at) < period/2 && r.n > 1 { // by Close, between two ticks
		last.sum = sum
		return true
	}
	r.marks[r.n%len(r.marks)] = mark{now, sum}
	r.n++
	return true
}

// kbits returns the bitrate in units of 1000 bit/s. It is 0 when nothing has
// moved within the window.
func (r *rate) kbits(now time.Time) int {
	to := r.marks[(r.n-1)%len(r.marks)]
	edge := now.Add(-window)
	if r.n == 1 || !to.at.After(edge) {
		return 0
	}
	// From the last change before the window, unless the sum had rested then.
	from := mark{at: edge}
	for i := r.n - 2; i >= max(0, r.n-len(r.marks)); i-- {
		from = r.marks[i%len(r.marks)]
		if !from.at.After(edge) {
			break
		}
	}
	if rest := edge.Add(-window); from.at.Before(rest) {
		from.at = edge
	}
	took := max(to.at.Sub(from.at), period)
	return int(float64(to.sum-from.sum) * 8 / 1000 / took.Seconds())
}
