package timeline

import (
	"math/rand/v2"
	"testing"
	"time"

	"camrelay/media"
)

// camera is a simulated source of audio and video: frames are sampled at true
// times, stamped by clocks that may drift, and arrive late.
type camera struct {
	rnd     *rand.Rand
	drift   float64       // how much faster the audio clock is than the video clock
	latency time.Duration // of audio above that of video
	jitter  time.Duration
	reports time.Duration // distance of sender reports, 0: none
	wall    time.Duration // error of the camera's clock
}

// run plays frames sampled in [from, to) into tl and returns the largest skew
// seen in the last tenth: how much later audio of one moment is shown than
// video of that moment.
func (c *camera) run(t *testing.T, tl *Timeline, from, to time.Duration) time.Duration {
	t.Helper()
	const videoStep, audioStep = 40 * time.Millisecond, 64 * time.Millisecond
	stampA := func(at time.Duration) uint32 {
		return uint32(int64(float64(media.ToTicks(at, 48000)) * (1 + c.drift)))
	}
	stampV := func(at time.Duration) uint32 { return wrapSoon + uint32(media.ToTicks(at, 90000)) }
	var worst time.Duration
	var lastV, lastA, shownV time.Duration
	nextA, nextReport := from, from+c.reports/2
	for at := from; at < to; at += videoStep {
		pts, _ := tl.Time(video, stampV(at), epoch.Add(at+c.late()))
		if pts <= lastV {
			t.Fatalf("video at %v: %v after %v", at, pts, lastV)
		}
		lastV, shownV = pts, pts-at
		for ; nextA < at+videoStep; nextA += audioStep {
			pts, _ := tl.Time(audio, stampA(nextA), epoch.Add(nextA+c.latency+c.late()))
			if pts <= lastA {
				t.Fatalf("audio at %v: %v after %v", nextA, pts, lastA)
			}
			lastA = pts
			if skew := pts - nextA - shownV; at > to-(to-from)/10 && skew.Abs() > worst.Abs() {
				worst = skew
			}
		}
		if c.reports > 0 && at >= nextReport {
			nextReport += c.reports
			now := epoch.Add(at + c.late())
			tl.SenderReport(video, epoch.Add(at+c.wall), stampV(at), now)
			tl.SenderReport(audio, epoch.Add(at+c.wall), stampA(at), now)
		}
	}
	return worst
}

func (c *camera) late() time.Duration { return time.Duration(c.rnd.Int64N(int64(c.jitter) + 1)) }

func TestAudioStaysWithVideo(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, tc := range []struct {
		name string
		cam  camera
		runs time.Duration
		most time.Duration
	}{
		{"arrival times alone, no drift", camera{jitter: 30 * ms}, time.Minute, 40 * ms},
		{
			"reports correct what arrival times got wrong",
			camera{latency: 300 * ms, jitter: 10 * ms, reports: 5 * time.Second},
			time.Minute, 25 * ms,
		},
		{
			"reports of a clock in 1970",
			camera{latency: 300 * ms, jitter: 10 * ms, reports: 5 * time.Second, wall: -56 * year},
			time.Minute, 25 * ms,
		},
		{
			"audio clock 0.1 % slow for a day, with reports",
			camera{drift: -1e-3, jitter: 30 * ms, reports: 5 * time.Second},
			24 * time.Hour, 50 * ms,
		},
		{
			"audio clock 0.1 % fast for six hours, with reports",
			camera{drift: 1e-3, jitter: 30 * ms, reports: 5 * time.Second},
			6 * time.Hour, 50 * ms,
		},
		{
			"go2rtc#2303: audio clock slow for a day, no reports",
			camera{drift: -1e-4, jitter: 30 * ms},
			24 * time.Hour, 200 * ms,
		},
		{"audio clock fast for six hours, no reports", camera{drift: 1e-4, jitter: 30 * ms}, 6 * time.Hour, 200 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.cam.rnd = rand.New(rand.NewPCG(1, 2))
			tl := New()
			if worst := tc.cam.run(t, tl, 0, tc.runs); worst.Abs() > tc.most {
				t.Errorf("audio is %v off, want at most %v", worst, tc.most)
			}
			if c := tl.Counts(); c != (Counts{}) {
				t.Errorf("got %+v, want nothing restamped", c)
			}
		})
	}
}

func TestReportsThatAreNonsenseChangeNothing(t *testing.T) {
	for name, report := range map[string]func(tl *Timeline, at time.Time, stamp uint32){
		"of one track only": func(tl *Timeline, at time.Time, stamp uint32) {
			tl.SenderReport(video, at.Add(-time.Hour), stamp, at)
		},
		"clocks of the tracks an hour apart": func(tl *Timeline, at time.Time, stamp uint32) {
			tl.SenderReport(video, at, stamp, at)
			tl.SenderReport(audio, at.Add(time.Hour), stamp/90*48, at)
		},
		"stamps that no frame had": func(tl *Timeline, at time.Time, stamp uint32) {
			tl.SenderReport(video, at, stamp+1e9, at)
			tl.SenderReport(audio, at, stamp, at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tl := New()
			tl.SenderReport(video, epoch, 0, epoch)
			for n := range 1000 {
				at := time.Duration(n) * 40 * ms
				stamp := uint32(media.ToTicks(at, 90000))
				for _, track := range []*media.Track{video, audio} {
					pts, gap := tl.Time(track, uint32(media.ToTicks(at, track.ClockRate)), epoch.Add(at))
					if d := pts - Start - at; d.Abs() > time.Microsecond || gap {
						t.Fatalf("%s at %v: off by %v, gap %v", track.Codec, at, d, gap)
					}
				}
				if n%25 == 0 {
					report(tl, epoch.Add(at), stamp)
				}
			}
		})
	}
}

func TestOneWrongReportMovesNothing(t *testing.T) {
	tl := New()
	c := &camera{rnd: rand.New(rand.NewPCG(1, 1)), reports: 5 * time.Second}
	const steady = time.Minute
	if worst := c.run(t, tl, 0, steady); worst.Abs() > tolerated {
		t.Fatalf("audio lies %v off before", worst)
	}
	at := epoch.Add(steady)
	tl.SenderReport(video, at, wrapSoon+uint32(media.ToTicks(steady, 90000)), at)
	tl.SenderReport(audio, at.Add(250*time.Millisecond), uint32(media.ToTicks(steady, 48000)), at)
	if worst := c.run(t, tl, steady, steady+10*time.Second); worst.Abs() > tolerated {
		t.Errorf("audio lies %v off after one report that is wrong", worst)
	}
}
