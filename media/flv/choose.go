package flv

import (
	"fmt"

	"camrelay/media"
)

// Omission is a track that is left out, and why.
type Omission struct {
	Track  *media.Track
	Reason string
}

// String returns the omission as a sentence for people.
func (o Omission) String() string { return fmt.Sprintf("%s %s", o.Track.Codec, o.Reason) }

// Choose returns the tracks that FLV carries, the first of each kind: H.264
// and AAC, and H.265 where the reader knows Enhanced RTMP. It tells what is
// left out.
func Choose(tracks []*media.Track, enhanced bool) (video, audio *media.Track, omitted []Omission) {
	for _, t := range tracks {
		reason := ""
		switch {
		case t.Kind == media.KindVideo && video != nil || t.Kind == media.KindAudio && audio != nil:
			reason = "is the second of its kind"
		case t.Codec == media.CodecH265 && !enhanced:
			reason = "needs Enhanced RTMP, which the other side does not offer"
		case t.Codec == media.CodecH264 || t.Codec == media.CodecH265:
			video = t
		case t.Codec == media.CodecAAC:
			audio = t
		default:
			reason = "cannot be carried by FLV"
		}
		if reason != "" {
			omitted = append(omitted, Omission{t, reason})
		}
	}
	return video, audio, omitted
}
