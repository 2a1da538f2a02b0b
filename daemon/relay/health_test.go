package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/daemon/health"
	"camrelay/daemon/supervise"
	"camrelay/media"
	"camrelay/media/hub"
)

// lens is a camera whose picture and sound the test switches.
type lens struct {
	video, audio, keys, stamps bool
	gone                       bool
}

// shoot delivers ten times a second what the lens says, a key frame each second.
func shoot(p *Path, through *atomic.Pointer[lens]) func(ctx context.Context, active func()) error {
	return func(ctx context.Context, active func()) error {
		if through.Load().gone {
			return media.Fail(media.ClassRefused, errors.New("connection refused"))
		}
		p.Stream().SetTracks([]*media.Track{
			{Kind: media.KindVideo, Codec: media.CodecMJPEG}, {ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA},
		})
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		stamp := uint32(0)
		for n := 0; ; n++ {
			var now time.Time
			select {
			case now = <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			l := through.Load()
			if l.gone {
				return errors.New("connection lost")
			}
			if l.stamps {
				stamp++
			}
			if l.video {
				p.Stream().Meter.Arrived(now, 1, 1000, 0, hub.Heard{Track: 0, At: now, Stamp: stamp})
				p.Stream().Meter.Frame(now, l.keys && n%10 == 0)
				active()
			}
			if l.audio {
				p.Stream().Meter.Arrived(now, 1, 100, 0, hub.Heard{Track: 1, At: now, Stamp: stamp})
				active()
			}
		}
	}
}

var allWell = lens{video: true, audio: true, keys: true, stamps: true}

func TestHealthIsTruthful(t *testing.T) {
	tests := []struct {
		name   string
		change func(l *lens)
		state  string
		want   health.Name
	}{
		{"nothing comes", func(l *lens) { l.video, l.audio = false, false }, StateStalled, health.Stalled},
		{"no key frames come", func(l *lens) { l.keys = false }, StateDegraded, health.NoKeyFrame},
		{"time stamps stand still", func(l *lens) { l.stamps = false }, StateDegraded, health.FrozenStamps},
		{"the sound is missing", func(l *lens) { l.audio = false }, StateDegraded, health.MissingAudio},
		{"the picture is missing", func(l *lens) { l.video = false }, StateDegraded, health.MissingVideo},
		{"the camera is gone", func(l *lens) { l.gone = true }, string(supervise.Reconnecting), health.Offline},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.run(func(ctx context.Context) { _ = s.relay.Run(ctx) })
				warm := onDemand
				warm.Warm = true
				p := s.relay.Put("gate", warm)
				var through atomic.Pointer[lens]
				through.Store(new(allWell))
				s.run(func(ctx context.Context) { _ = p.Pull(ctx, supervise.Policy{}, shoot(p, &through)) })
				settle := func(d time.Duration) Health {
					time.Sleep(d)
					synctest.Wait()
					h, _ := p.Health()
					return h
				}
				if h := settle(time.Minute); !h.Warm || h.State != StateWarm || time.Since(h.Since) < 58*time.Second {
					t.Fatalf("at first %+v", h)
				}
				l := allWell
				tt.change(&l)
				through.Store(&l)
				if h := settle(9 * time.Second); len(h.Conditions) != 0 {
					t.Errorf("too soon %+v", h)
				}
				h := settle(2 * time.Second)
				if h.Warm || h.State != tt.state || len(h.Conditions) == 0 || h.Conditions[0].Name != tt.want || h.Reason == "" {
					t.Errorf("after eleven seconds %+v", h)
				}
				if told := s.told(HealthRaised); len(told) == 0 || told[0].Condition.Name != tt.want {
					t.Errorf("told %+v", told)
				}
				through.Store(new(allWell))
				if h := settle(2 * time.Minute); !h.Warm || len(h.Conditions) != 0 {
					t.Errorf("in the end %+v", h)
				}
				if raised, cleared := len(s.told(HealthRaised)), len(s.told(HealthCleared)); raised != cleared {
					t.Errorf("%d raised, %d cleared", raised, cleared)
				}
				if told := s.told(HealthCleared); len(told) > 0 && !told[len(told)-1].Recovered {
					t.Errorf("cleared, and not recovered: %+v", told[len(told)-1])
				}
			})
		})
	}
}

func TestHealthOfACameraThatIsNotWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.add("gate", onDemand)
		h, changed := p.Health()
		if h.State != "idle" || h.Warm || len(h.Conditions) != 0 {
			t.Errorf("idle: %+v", h)
		}
		p.Stop("alice", time.Minute)
		select {
		case <-changed:
		default:
			t.Error("nobody is told of a change")
		}
		time.Sleep(30 * time.Second)
		if h, _ := p.Health(); h.State != "stopped" || h.Reason == "" || len(h.Conditions) != 0 {
			t.Errorf("stopped: %+v", h)
		}
	})
}
