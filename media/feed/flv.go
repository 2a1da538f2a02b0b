package feed

import (
	"fmt"
	"time"

	"camrelay/media"
	"camrelay/media/flv"
	"camrelay/media/hub"
)

// Tag is a tag of audio or video. Headers and metadata are no entries of the
// log; each entry knows those that it needs.
type Tag struct {
	Type      flv.Type
	Timestamp uint32    // milliseconds since the log began, modulo 2^32
	Key       bool      // a reader may start here
	Data      []byte    // the tag as it stands in a file, with its size behind it; shared, never written again
	Wall      time.Time // arrival of the unit by the box's clock, with its monotonic reading
	Headers   *Headers  // what a reader must have had before; another pointer than last time ⇒ see Headers.Since
}

// Body returns the body of the tag, which is the body of an RTMP message.
func (t *Tag) Body() []byte { return t.Data[flv.TagHeader : len(t.Data)-flv.TagTrailer] }

// Headers are the metadata and the sequence headers in force. They are immutable.
type Headers struct {
	script, video, audio *flv.Tag // nil for none
}

// Since returns the tags of h that are not in old, in the order in which they
// are to be sent: all for old == nil. Sequence headers are to be stamped like the
// entry that they stand before; metadata with 0, since libavformat takes it for
// a stream of its own otherwise.
func (h *Headers) Since(old *Headers) []*flv.Tag {
	if old == nil {
		old = &Headers{}
	}
	var out []*flv.Tag
	for _, t := range [][2]*flv.Tag{{h.script, old.script}, {h.video, old.video}, {h.audio, old.audio}} {
		if t[0] != nil && t[0] != t[1] {
			out = append(out, t[0])
		}
	}
	return out
}

// Append appends the tags of h that are not in old as they stand in a file,
// before an entry of that timestamp, and returns the longer slice.
func (h *Headers) Append(b []byte, old *Headers, timestamp uint32) []byte {
	for _, t := range h.Since(old) {
		stamped := *t
		if stamped.Timestamp = timestamp; t.Type == flv.Script {
			stamped.Timestamp = 0
		}
		b = stamped.AppendTag(b)
	}
	return b
}

// Has tells of which kinds there are headers, for the beginning of a file.
func (h *Headers) Has() (video, audio bool) { return h.video != nil, h.audio != nil }

// with returns h with t in place of the one of its type.
func (h *Headers) with(t *flv.Tag) *Headers {
	var next Headers
	if h != nil {
		next = *h
	}
	switch t.Type {
	case flv.Script:
		next.script = t
	case flv.Video:
		next.video = t
	case flv.Audio:
		next.audio = t
	}
	return &next
}

// FLV returns the tags of s for readers that take those extras. Readers whose
// extras make no difference to s share one log. tracks and release are as with TS.
func FLV(s *hub.Stream, tracks []*media.Track, takes flv.Extras) (log *hub.Log[Tag], release func()) {
	takes = needed(tracks, takes)
	return hub.Derive(s, hub.Recipe[Tag]{
		Name:   fmt.Sprintf("flv %d", takes),
		Limits: limits(),
		Size:   func(t Tag) int { return len(t.Data) },
		Start:  func(t Tag) bool { return t.Key },
		New: func() func(*media.Unit, []Tag) []Tag {
			video, audio, _ := flv.Choose(tracks, takes)
			return newFramer(flv.Config{
				Video: video, Audio: audio, Extras: takes, Open: true,
				Encoder: "camrelay", Bitrate: s.Meter.Stats(time.Now()).Bitrate,
			}).tags
		},
	})
}

// needed returns those of the extras that the tracks have a use for.
func needed(tracks []*media.Track, takes flv.Extras) (out flv.Extras) {
	for _, t := range tracks {
		switch t.Codec {
		case media.CodecH265:
			hevc := takes & flv.EnhancedHEVC
			if hevc == 0 {
				hevc = takes & flv.LegacyHEVC
			}
			out |= hevc
		case media.CodecOpus:
			out |= takes & flv.EnhancedOpus
		}
	}
	return out
}

// framer makes entries of units.
type framer struct {
	mux     *flv.Muxer
	headers *Headers
	scratch []flv.Tag
}

func newFramer(cfg flv.Config) *framer { return &framer{mux: flv.New(cfg)} }

func (f *framer) tags(u *media.Unit, out []Tag) []Tag {
	f.scratch = f.mux.Tags(u, f.scratch[:0])
	for i := range f.scratch {
		t := &f.scratch[i]
		size := t.Size()
		switch {
		case t.Header:
			own := *t
			f.headers = f.headers.with(&own)
			continue
		case size > flv.MaxBody:
			continue
		}
		video, _ := f.headers.Has()
		b := make([]byte, 0, flv.TagHeader+size+flv.TagTrailer)
		out = append(out, Tag{
			Type: t.Type, Timestamp: t.Timestamp, Key: t.Key || !video,
			Data: t.AppendTag(b), Wall: t.Wall, Headers: f.headers,
		})
	}
	clear(f.scratch)
	return out
}
