package health

import (
	"slices"
	"testing"
	"time"

	"camrelay/media"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }

// well is a camera with picture and sound, 100 s after it has connected.
func well() Camera {
	return Camera{
		Since: at(0), Packet: at(100), Key: at(99), KeyInterval: 2 * time.Second,
		Tracks: []Track{
			{media.KindVideo, at(100), at(100)},
			{media.KindAudio, at(99.9), at(99.9)},
			{media.KindApplication, time.Time{}, time.Time{}},
		},
	}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Camera)
		now    float64
		warm   bool
		want   []Name
	}{
		{"all is well", func(*Camera) {}, 100, true, nil},
		{"nothing for just less than the limit", func(*Camera) {}, 108.9, true, nil},
		{"nothing comes any more", func(*Camera) {}, 110, false, []Name{Stalled}},
		{"it has just connected", func(c *Camera) {
			*c = Camera{Since: at(100), Packet: at(100), Tracks: c.Tracks[:1]}
		}, 101, false, nil},
		{
			"no key frame has come yet for long", func(c *Camera) { c.Key, c.KeyInterval = time.Time{}, 0 }, 100, false,
			[]Name{NoKeyFrame},
		},
		{"key frames have stopped", func(c *Camera) { c.Key = at(90) }, 100, false, []Name{NoKeyFrame}},
		{"key frames are far apart by habit", func(c *Camera) {
			c.Key, c.KeyInterval = at(80), 12*time.Second
		}, 100, true, nil},
		{
			"even those that are far apart are overdue", func(c *Camera) { c.Key, c.KeyInterval = at(70), 12*time.Second }, 100,
			false,
			[]Name{NoKeyFrame},
		},
		{
			"the sound has never come", func(c *Camera) { c.Tracks[1] = Track{Kind: media.KindAudio} }, 100, false,
			[]Name{MissingAudio},
		},
		{"the sound may still come", func(c *Camera) {
			c.Since, c.Tracks[1] = at(95), Track{Kind: media.KindAudio}
		}, 100, false, nil},
		{"the sound has stopped", func(c *Camera) { c.Tracks[1].Last = at(89) }, 100, false, []Name{MissingAudio}},
		{
			"the picture alone has stopped", func(c *Camera) { c.Tracks[0].Last, c.Key = at(89), at(89) }, 100, false,
			[]Name{MissingVideo},
		},
		{
			"the time stamps of the picture stand still", func(c *Camera) { c.Tracks[0].Moved, c.Key = at(80), at(80) }, 100,
			false,
			[]Name{FrozenStamps},
		},
		{
			"two things are wrong", func(c *Camera) { c.Tracks[1].Last, c.Key = at(80), at(80) }, 100, false,
			[]Name{MissingAudio, NoKeyFrame},
		},
		{"a camera of sound alone", func(c *Camera) { c.Tracks, c.Key = c.Tracks[1:2], time.Time{} }, 100, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := well()
			tt.change(&c)
			v := c.Judge(at(tt.now), 10*time.Second)
			var got []Name
			for _, cond := range v.Conditions {
				got = append(got, cond.Name)
				if cond.Text == "" || cond.Since.IsZero() || !v.Has(cond.Name) {
					t.Errorf("condition %+v", cond)
				}
			}
			if v.Warm != tt.warm || !slices.Equal(got, tt.want) {
				t.Errorf("warm %v, %v; want %v, %v", v.Warm, got, tt.warm, tt.want)
			}
		})
	}
}
