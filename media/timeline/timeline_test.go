package timeline

import (
	"testing"
	"time"

	"camrelay/media"
)

const (
	ms       = time.Millisecond
	wrapSoon = uint32(1<<32 - 5*90000) // 5 s before the 32-bit stamp wraps
)

var (
	epoch     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	video     = &media.Track{ID: 0, Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000}
	reordered = &media.Track{ID: 0, Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000, Reorder: true}
	audio     = &media.Track{ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000}
)

// step is one frame of a quirk: how it is stamped and when it arrives.
type step struct {
	stamp   time.Duration // by the camera, since its first frame
	arrival time.Duration
	connect bool
	want    time.Duration // stream time less Start
	gap     bool
}

func TestQuirks(t *testing.T) {
	hour := time.Hour
	for _, tc := range []struct {
		name  string
		track *media.Track
		steps []step
	}{
		{
			"stamps are taken as they are, not as they arrive", video,
			[]step{{}, {40 * ms, 55 * ms, false, 40 * ms, false}, {80 * ms, 81 * ms, false, 80 * ms, false}},
		},
		{
			"Intelbras, mediamtx#6255: one frame 9,800 s back", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{-9800 * time.Second, 80 * ms, false, 80 * ms, false},
				{120 * ms, 120 * ms, false, 120 * ms, false},
				{160 * ms, 160 * ms, false, 160 * ms, false},
			},
		},
		{
			"Intelbras, mediamtx#6255: one frame 37,600 s ahead, then one more", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{37600 * time.Second, 80 * ms, false, 80 * ms, false},
				{37600*time.Second + 40*ms, 120 * ms, false, 120 * ms, false},
				{160 * ms, 160 * ms, false, 160 * ms, false},
			},
		},
		{
			"the clock steps back by an hour and stays", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{-hour, 80 * ms, false, 80 * ms, false},
				{40*ms - hour, 120 * ms, false, 120 * ms, false},
				{80*ms - hour, 160 * ms, false, 160 * ms, true},
				{120*ms - hour, 200 * ms, false, 200 * ms, false},
			},
		},
		{
			"the clock steps ahead by an hour and stays", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{hour, 80 * ms, false, 80 * ms, false},
				{hour + 40*ms, 120 * ms, false, 120 * ms, false},
				{hour + 80*ms, 160 * ms, false, 160 * ms, true},
				{hour + 120*ms, 200 * ms, false, 200 * ms, false},
			},
		},
		{
			"implausible frames that do not agree are no new time line", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{hour, 80 * ms, false, 80 * ms, false},
				{-hour, 120 * ms, false, 120 * ms, false},
				{2 * hour, 160 * ms, false, 160 * ms, false},
				{200 * ms, 200 * ms, false, 200 * ms, false},
			},
		},
		{
			"two frames with one stamp", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{40 * ms, 40 * ms, false, 41 * ms, false},
				{80 * ms, 80 * ms, false, 80 * ms, false},
			},
		},
		{
			"a clock that stands still goes on by arrival", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{40 * ms, 80 * ms, false, 80 * ms, false},
				{40 * ms, 120 * ms, false, 120 * ms, false},
				{40 * ms, 160 * ms, false, 160 * ms, false},
			},
		},
		{
			"B-frames are stamped before their predecessors", reordered,
			[]step{
				{},
				{160 * ms, 40 * ms, false, 160 * ms, false},
				{80 * ms, 80 * ms, false, 80 * ms, false},
				{40 * ms, 120 * ms, false, 40 * ms, false},
				{120 * ms, 160 * ms, false, 120 * ms, false},
			},
		},
		{
			"eight seconds of silence and then all of it at once", video,
			[]step{
				{},
				{40 * ms, 8 * time.Second, false, 40 * ms, false},
				{80 * ms, 8 * time.Second, false, 80 * ms, false},
				{8 * time.Second, 8 * time.Second, false, 8 * time.Second, false},
			},
		},
		{
			"a day of silence", video,
			[]step{
				{},
				{24 * hour, 24 * hour, false, 24 * hour, false},
				{24*hour + 40*ms, 24*hour + 40*ms, false, 24*hour + 40*ms, false},
			},
		},
		{
			"a new connection goes on by the arrival clock", video,
			[]step{
				{},
				{40 * ms, 40 * ms, false, 40 * ms, false},
				{-7 * hour, 20 * time.Second, true, 20 * time.Second, true},
				{40*ms - 7*hour, 20*time.Second + 30*ms, false, 20*time.Second + 40*ms, false},
			},
		},
		{
			"a new connection right after a burst does not go back", video,
			[]step{
				{},
				{time.Second, 40 * ms, false, time.Second, false},
				{0, 40 * ms, true, time.Second + ms, true},
				{40 * ms, 80 * ms, false, time.Second + 41*ms, false},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tl := New()
			for i, s := range tc.steps {
				if s.connect {
					tl.Connect()
				}
				rtp := wrapSoon + uint32(media.ToTicks(s.stamp, tc.track.ClockRate))
				pts, gap := tl.Time(tc.track, rtp, epoch.Add(s.arrival))
				if d := pts - Start - s.want; d < -time.Microsecond || d > time.Microsecond || gap != s.gap {
					t.Errorf("frame %d: %v, gap %v; want %v, %v", i, pts-Start, gap, s.want, s.gap)
				}
			}
		})
	}
}

// TestFortyDays runs both clocks through their wraps (13 h 15 min at 90 kHz,
// 24 h 51 min at 48 kHz) with a frame each minute.
func TestFortyDays(t *testing.T) {
	tl := New()
	for n := range 40 * 24 * 60 {
		at := time.Duration(n) * time.Minute
		for _, track := range []*media.Track{video, audio} {
			rtp := wrapSoon + uint32(media.ToTicks(at, track.ClockRate))
			pts, gap := tl.Time(track, rtp, epoch.Add(at))
			if d := pts - Start - at; d < -time.Microsecond || d > time.Microsecond || gap {
				t.Fatalf("%s after %v: off by %v, gap %v", track.Codec, at, d, gap)
			}
		}
	}
	if c := tl.Counts(); c != (Counts{}) {
		t.Errorf("got %+v, want nothing restamped", c)
	}
}

func TestAfterAnInterruptionStampsMustAgreeWithArrivals(t *testing.T) {
	for _, tc := range []struct {
		name  string
		stamp time.Duration
		want  time.Duration
		gap   bool
	}{
		{"they do: a lost packet", 100 * ms, 100 * ms, false},
		{"they go on as if nothing had been: an outage that was cut out", 80 * ms, 20 * time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tl := New()
			arrival := tc.want
			tl.Time(video, 0, epoch)
			tl.Time(video, 3600, epoch.Add(40*ms))
			tl.Interrupted(video)
			pts, gap := tl.Time(video, uint32(media.ToTicks(tc.stamp, 90000)), epoch.Add(arrival))
			if pts != Start+tc.want || gap != tc.gap {
				t.Errorf("got %v, gap %v", pts-Start, gap)
			}
		})
	}
}
