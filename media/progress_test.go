package media

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := 0
		p := NewProgress(func() { moved++ })
		if _, _, _, last := p.Counts(); !last.IsZero() || p.Bitrate(time.Now()) != 0 {
			t.Error("something was sent at first")
		}
		for range 40 {
			p.Sent(1000, 2, 1)
			time.Sleep(250 * time.Millisecond)
		}
		bytes, units, lost, last := p.Counts()
		if p.RTT() != 0 {
			t.Errorf("round trip time %v before it is measured", p.RTT())
		}
		p.MeasureRTT(func() time.Duration { return 7 * time.Millisecond })
		if p.RTT() != 7*time.Millisecond {
			t.Errorf("round trip time %v", p.RTT())
		}
		if bytes != 40_000 || units != 80 || lost != 40 || time.Since(last) != 250*time.Millisecond || moved != 40 {
			t.Errorf("%d bytes, %d units, %d lost, last %v ago, moved %d", bytes, units, lost, time.Since(last), moved)
		}
		if got := p.Bitrate(time.Now()); got != 32_000 {
			t.Errorf("%v bit/s, want 32000", got)
		}
		time.Sleep(3 * time.Second)
		if got := p.Bitrate(time.Now()); got != 12_800 {
			t.Errorf("%v bit/s after 3 s of silence, want 12800", got)
		}
		time.Sleep(time.Minute)
		if got := p.Bitrate(time.Now()); got != 0 {
			t.Errorf("%v bit/s after a minute of silence", got)
		}
	})
}

func TestCodecsReadBack(t *testing.T) {
	for c := CodecUnknown; int(c) < len(codecNames); c++ {
		if got, ok := ParseCodec(c.String()); got != c || !ok {
			t.Errorf("%s is read as %s", c, got)
		}
	}
	if got, ok := ParseCodec("VP8"); got != CodecUnknown || ok {
		t.Errorf("VP8 is read as %s", got)
	}
}
