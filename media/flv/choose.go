package flv

import (
	"fmt"

	"camrelay/media"
)

// Extras are the codecs beyond H.264 and AAC that the other side takes.
type Extras uint8

// The extras. RTMP negotiates those of Enhanced RTMP by their FourCC; a file
// and HTTP-FLV cannot ask.
const (
	EnhancedHEVC Extras = 1 << iota // H.265 by its FourCC hvc1 (Enhanced RTMP)
	EnhancedOpus                    // Opus by its FourCC (Enhanced RTMP v2)
	LegacyHEVC                      // H.265 by codec id 12, which no specification knows; unless EnhancedHEVC is there
)

// FourCCs of Enhanced RTMP.
const (
	HEVC = "hvc1"
	Opus = "Opus"
)

// EnhancedNote tells people which players know H.265 by its FourCC in FLV, where
// nobody can be asked.
const EnhancedNote = "H.265 goes by the FourCC hvc1 (Enhanced RTMP), which ffmpeg 6.1, mpegts.js 1.7.3 and newer " +
	"ones know, and others do not"

// Omission is a track that is left out, and why.
type Omission struct {
	Track  *media.Track
	Reason string
}

// String returns the omission as a sentence for people.
func (o Omission) String() string { return fmt.Sprintf("%s %s", o.Track.Codec, o.Reason) }

// notOffered is why a track is left out that Enhanced RTMP would carry.
const notOffered = "needs Enhanced RTMP, which the other side does not offer"

// Choose returns the tracks that FLV carries, the first of each kind: H.264,
// AAC, and what the other side takes beside them. It tells what is left out.
func Choose(tracks []*media.Track, takes Extras) (video, audio *media.Track, omitted []Omission) {
	for _, t := range tracks {
		reason := carries(t, takes)
		switch {
		case t.Kind == media.KindVideo && video != nil || t.Kind == media.KindAudio && audio != nil:
			reason = "is the second of its kind"
		case reason != "":
		case t.Kind == media.KindVideo:
			video = t
		default:
			audio = t
		}
		if reason != "" {
			omitted = append(omitted, Omission{t, reason})
		}
	}
	return video, audio, omitted
}

// carries returns why FLV cannot carry t, empty if it can.
func carries(t *media.Track, takes Extras) string {
	switch t.Codec {
	case media.CodecH264, media.CodecAAC:
		return ""
	case media.CodecH265:
		if takes&(EnhancedHEVC|LegacyHEVC) == 0 {
			return notOffered
		}
		return ""
	case media.CodecOpus:
		switch {
		case t.Channels > 2:
			return fmt.Sprintf("of %d channels cannot be carried by FLV", t.Channels)
		case takes&EnhancedOpus == 0:
			return notOffered
		}
		return ""
	}
	return "cannot be carried by FLV"
}
