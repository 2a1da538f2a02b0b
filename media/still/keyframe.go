package still

import (
	"context"
	"fmt"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
	"camrelay/media/depay"
	"camrelay/media/fmp4"
	"camrelay/media/hub"
)

// frameID tells key frames of a camera apart.
type frameID struct {
	stream *hub.Stream
	wall   time.Time
	seq    uint16
}

// keyframe returns the newest key frame of s. It is taken out of the packets,
// so that nobody makes units of everything for one picture.
func (h *Handler) keyframe(ctx context.Context, s *hub.Stream) (*picture, error) {
	tracks, _ := s.Tracks()
	video := slices.IndexFunc(tracks, func(t *media.Track) bool { return t.Kind == media.KindVideo })
	if video < 0 {
		return nil, none("the camera has no video")
	}
	if err := fmp4.Check(tracks[video]); err != nil {
		return nil, none("MP4 " + err.Error())
	}
	id := frameID{stream: s}
	if start, ok := s.Packets.LastStart(); ok {
		id.wall, id.seq = start.Wall, start.Sequence()
	}
	good := func(it *item[frameID]) bool { return it.err == nil && !id.wall.IsZero() }
	return h.frames.get(ctx, s.Name(), id, good, func(ctx context.Context) (*picture, error) {
		ctx, cancel := context.WithTimeout(ctx, h.cfg.FrameTimeout)
		defer cancel()
		u, err := readKey(ctx, s, tracks[video])
		if err != nil {
			return nil, err
		}
		b, err := fmp4.Still(u)
		if err != nil {
			return nil, err
		}
		return newPicture(b, u.Wall), nil
	})
}

// readKey returns the first key picture of the packet log from its newest start
// on.
func readKey(ctx context.Context, s *hub.Stream, t *media.Track) (*media.Unit, error) {
	dec, err := depay.New(t)
	if err != nil {
		return nil, err
	}
	r := s.Packets.Reader("still", hub.LastStart)
	defer r.Close()
	r.Relax()
	var aus []depay.AU
	for {
		p, _, err := r.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", hub.ErrUnavailable, err)
		}
		if p.Track.ID != t.ID {
			continue
		}
		aus = aus[:0]
		for packet := range p.RTP() {
			aus, _ = dec.Decode(aus, packet, p.Wall) // a picture that is lost is followed by another
		}
		for i := range aus {
			u := &media.Unit{Track: p.Track, Wall: aus[i].Wall, Data: aus[i].Data, Key: aus[i].Key}
			if aus[i].Params {
				u.Track, _, _ = codec.UpdateParams(u.Track, u.Data) // those that are broken are left out
			}
			if u.Key && u.Track.Ready() {
				return u, nil
			}
		}
	}
}
