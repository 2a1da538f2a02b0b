package hub

import (
	"testing"
	"time"
)

func TestMeterFollowsTracks(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	var m Meter
	m.Connect(at(0))
	m.Arrived(at(1), 2, 200, 0, Heard{0, at(1), 100}, Heard{1, at(1), 7})
	m.Arrived(at(2), 1, 100, 0, Heard{0, at(2), 200})
	m.Arrived(at(3), 1, 100, 0, Heard{0, at(3), 200})
	st := m.Stats(at(3))
	want := []TrackStats{{at(3), at(2), 200}, {at(1), at(1), 7}}
	if len(st.Tracks) != 2 || st.Tracks[0] != want[0] || st.Tracks[1] != want[1] {
		t.Errorf("tracks %v, want %v", st.Tracks, want)
	}
	m.Arrived(at(4), 1, 100, 0, Heard{0, at(4), 300})
	if st.Tracks[0] != want[0] {
		t.Error("a snapshot has changed")
	}
	m.Connect(at(10))
	if st = m.Stats(at(10)); len(st.Tracks) != 0 || st.Connected != at(10) || st.Bytes != 500 {
		t.Errorf("after connecting again: %+v", st)
	}
}

func TestAnOutageIsNoDistanceOfKeyFrames(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var m Meter
	key := func(s int) time.Duration {
		at := begin.Add(time.Duration(s) * time.Second)
		m.Frame(at, true)
		return m.Stats(at).KeyInterval
	}
	m.Connect(begin)
	key(1)
	if d := key(3); d != 2*time.Second {
		t.Errorf("distance %v, want 2s", d)
	}
	m.Connect(begin.Add(time.Minute))
	if d := key(61); d != 2*time.Second {
		t.Errorf("distance %v after an outage, want 2s still", d)
	}
}
