package mediatest

import (
	"context"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// Feed plays a clip into a stream, tracks, packets and units, until ctx is
// done, and returns nil; or the error that stopped it. In real time it appends
// each unit when its DTS has come; otherwise it goes as fast as the scheduler
// lets it, which laps slow readers.
func Feed(ctx context.Context, s *hub.Stream, c *Clip, p *Packetizer, realtime bool) error {
	s.SetTracks(append([]*media.Track(nil), c.Tracks...))
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		u := c.Unit(i)
		due := begin.Add(u.DTS - c.units[0].DTS)
		if realtime {
			timer.Reset(time.Until(due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		}
		u.Wall = due
		if err := Publish(s, p, u); err != nil {
			return err
		}
	}
	return nil
}

// Publish appends one unit to both logs of a stream.
func Publish(s *hub.Stream, p *Packetizer, u *media.Unit) error {
	pk, err := p.Packets(u)
	if err != nil {
		return err
	}
	s.Packets.Append(pk)
	s.Units.Append(u)
	if u.Track.Kind == media.KindVideo {
		s.Meter.Frame(u.Wall, u.Key)
	}
	s.Meter.Arrived(u.Wall, pk.N, len(pk.Wire), 0)
	return nil
}
