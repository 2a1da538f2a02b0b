package srt

import (
	"context"
	"fmt"
	"slices"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// payload is what one SRT message carries: seven transport packets.
const payload = 7 * mpegts.PacketSize

// recipe says how the transport stream of a stream is made, once for all who
// want it.
func recipe(tracks []*media.Track) hub.Recipe[mpegts.Chunk] {
	return hub.Recipe[mpegts.Chunk]{
		Name:   "mpegts",
		Limits: hub.Limits{Entries: 1 << 14, Bytes: 16 << 20, Keep: 2 * time.Second},
		Size:   func(c mpegts.Chunk) int { return len(c.Data) },
		Start:  func(c mpegts.Chunk) bool { return c.Key },
		New: func() func(*media.Unit, []mpegts.Chunk) []mpegts.Chunk {
			return mpegts.New(tracks).Chunks
		},
	}
}

// await returns the tracks of a stream as soon as there is media to send. r,
// which keeps the stream making units, is the caller's own.
func await(ctx context.Context, s *hub.Stream, r *hub.Reader[*media.Unit]) ([]*media.Track, error) {
	tracks, err := s.WaitTracks(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tracks, mpegts.Carries) {
		var names []string
		for _, t := range tracks {
			names = append(names, t.Codec.String())
		}
		return nil, media.Fail(media.ClassUnsupported, fmt.Errorf("MPEG-TS cannot carry %v", names))
	}
	_, _, err = r.Next(ctx)
	return tracks, err
}

// cutter cuts a transport stream into messages of one payload each.
type cutter struct {
	rest []byte // less than a payload; its capacity is one
}

// cut calls send with each message that b completes, until that fails. What is
// left over begins the next. A message is valid during the call.
func (c *cutter) cut(b []byte, send func(msg []byte) error) error {
	if c.rest == nil {
		c.rest = make([]byte, 0, payload)
	}
	for len(c.rest)+len(b) >= payload {
		k := payload - len(c.rest)
		msg := b[:k]
		if len(c.rest) > 0 {
			msg = append(c.rest, msg...)
		}
		if err := send(msg); err != nil {
			return err
		}
		c.rest, b = c.rest[:0], b[k:]
	}
	c.rest = append(c.rest, b...)
	return nil
}

// pad fills what is left over with null packets, and sends it.
func (c *cutter) pad(send func(msg []byte) error) error {
	if len(c.rest) == 0 {
		return nil
	}
	for len(c.rest) < payload {
		c.rest = mpegts.AppendNull(c.rest)
	}
	msg := c.rest
	c.rest = c.rest[:0]
	return send(msg)
}
