package httplive

import (
	"context"
	"encoding/binary"

	"camrelay/media"
	"camrelay/media/feed"
	"camrelay/media/flv"
	"camrelay/media/hub"
	"camrelay/media/mpegts"
)

// batch is how many entries are taken from a log at once.
const batch = 64

// form is a container that bodies can have.
type form struct {
	protocol, mime string
	// open waits for media of s; awake is as in feed.AwaitTS.
	open func(ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit]) (source, error)
	// notes tells what of the tracks a viewer does not get, or may not play.
	notes func(tracks []*media.Track) []string
}

// a table
var (
	formTS  = form{"mpegts", "video/mp2t", openTS, notesTS}
	formFLV = form{"flv", "video/x-flv", openFLV, notesFLV}
)

// source is a cursor on a log and what its container wants between entries.
type source interface {
	// read waits for entries and takes them; lost is how many went by before.
	read(ctx context.Context) (lost uint64, err error)
	// write adds what read has taken.
	write(out *body) error
	close()
}

func notesTS(tracks []*media.Track) (all []string) {
	for _, t := range tracks {
		if !mpegts.Carries(t) {
			all = append(all, t.Codec.String()+" left out: MPEG-TS cannot carry it")
		}
	}
	return all
}

func notesFLV(tracks []*media.Track) (all []string) {
	video, _, omitted := flv.Choose(tracks, extras)
	if video != nil && video.Codec == media.CodecH265 {
		all = append(all, flv.EnhancedNote)
	}
	for _, o := range omitted {
		all = append(all, o.String()+", so it is left out")
	}
	return all
}

// chunks is a transport stream, whose key chunks bring all that a receiver
// needs.
type chunks struct {
	r       *hub.Reader[mpegts.Chunk]
	release func()
	in      [batch]mpegts.Chunk
	n       int
}

func openTS(ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit]) (source, error) {
	tracks, err := feed.AwaitTS(ctx, s, awake)
	if err != nil {
		return nil, err
	}
	log, release := feed.TS(s, tracks)
	c := &chunks{r: log.Reader("mpegts", hub.LastStart), release: release}
	c.r.Relax()
	return c, nil
}

func (c *chunks) read(ctx context.Context) (lost uint64, err error) {
	clear(c.in[:c.n])
	c.n, lost, err = c.r.Read(ctx, c.in[:])
	return lost, err
}

func (c *chunks) write(out *body) error {
	for i := range c.in[:c.n] {
		if err := out.add(c.in[i].Data); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunks) close() {
	c.r.Close()
	c.release()
}

// tags is an FLV file whose time begins with its first tag.
type tags struct {
	r       *hub.Reader[feed.Tag]
	release func()
	in      [batch]feed.Tag
	n       int

	headers *feed.Headers // that the viewer has
	base    uint32        // time stamp of the first tag
	last    uint32        // time stamp of the last one, from base on
	scratch []byte
}

// extras is what players of HTTP-FLV are taken to know. Without H.265 by its
// FourCC there would be nothing to play; Opus is left out, since some players
// that do not know it refuse the picture too.
const extras = flv.EnhancedHEVC

func openFLV(ctx context.Context, s *hub.Stream, awake *hub.Reader[*media.Unit]) (source, error) {
	tracks, err := feed.AwaitFLV(ctx, s, awake, extras)
	if err != nil {
		return nil, err
	}
	log, release := feed.FLV(s, tracks, extras)
	t := &tags{r: log.Reader("flv", hub.LastStart), release: release}
	t.r.Relax()
	return t, nil
}

func (t *tags) read(ctx context.Context) (lost uint64, err error) {
	clear(t.in[:t.n])
	t.n, lost, err = t.r.Read(ctx, t.in[:])
	return lost, err
}

// timestamp is where a tag has its time stamp: 24 bits, then the 8 above them
// (§E.4.1).
const timestamp = 4

func (t *tags) write(out *body) error {
	for i := range t.in[:t.n] {
		tag := &t.in[i]
		b := t.scratch[:0]
		if t.headers == nil {
			video, audio := tag.Headers.Has()
			b = flv.AppendFileHeader(b, video, audio)
			t.base = tag.Timestamp
		}
		ts := tag.Timestamp - t.base
		if int32(ts) < 0 && t.last < 1<<30 { // sound from just before the first picture
			ts = 0
		}
		t.last = ts
		if tag.Headers != t.headers {
			b = tag.Headers.Append(b, t.headers, ts)
			t.headers = tag.Headers
		}
		at := len(b) + timestamp
		b = append(b, tag.Data[:flv.TagHeader]...)
		binary.BigEndian.PutUint32(b[at:], ts<<8|ts>>24)
		t.scratch = b
		if err := out.add(b); err != nil {
			return err
		}
		if err := out.add(tag.Data[flv.TagHeader:]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tags) close() {
	t.r.Close()
	t.release()
}
