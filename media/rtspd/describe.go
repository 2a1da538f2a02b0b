package rtspd

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"

	"camrelay/media"
)

// describe returns the tracks as an SDP session (RFC 4566). Each format is
// written as the camera wrote it, except for the parameter sets: those are of
// the live track, because what the camera's SDP says is often of yesterday.
func describe(title string, tracks []*media.Track) *description.Session {
	d := &description.Session{Title: title}
	for i, t := range tracks {
		d.Medias = append(d.Medias, &description.Media{
			Type:    description.MediaType(t.Kind.String()),
			Control: fmt.Sprintf("trackID=%d", i), // the library takes it for an index
			Formats: []format.Format{&format.Generic{
				PayloadTyp: t.PayloadType,
				RTPMa:      t.RTPMap,
				FMT:        parameters(t),
				ClockRat:   t.ClockRate,
			}},
		})
	}
	return d
}

// sdp returns the text of d for a client that asked for url. With a query the
// addresses of the tracks are absolute: clients disagree about how a relative
// one goes with it.
func sdp(d *description.Session, url *base.URL) ([]byte, error) {
	if url.RawQuery == "" {
		return d.Marshal(false)
	}
	out := *d
	out.Medias = nil
	for _, m := range d.Medias {
		abs := url.CloneWithoutCredentials()
		abs.Path = strings.TrimSuffix(abs.Path, "/") + "/" + m.Control
		c := *m
		c.Control = abs.String()
		out.Medias = append(out.Medias, &c)
	}
	return out.Marshal(false)
}

// parameters returns the fmtp parameters of a track. t.FMTP is not written to.
func parameters(t *media.Track) map[string]string {
	if !t.HasUnits() {
		return t.FMTP
	}
	p := maps.Clone(t.FMTP)
	if p == nil {
		p = make(map[string]string)
	}
	b64 := base64.StdEncoding.EncodeToString
	switch t.Codec {
	case media.CodecH264:
		if len(t.SPS) >= 4 && len(t.PPS) > 0 {
			p["sprop-parameter-sets"] = b64(t.SPS) + "," + b64(t.PPS)
			p["profile-level-id"] = strings.ToUpper(hex.EncodeToString(t.SPS[1:4]))
		}
		if p["packetization-mode"] == "" { // fragments follow whatever the camera says of itself
			p["packetization-mode"] = "1"
		}
	case media.CodecH265:
		for key, set := range map[string][]byte{"sprop-vps": t.VPS, "sprop-sps": t.SPS, "sprop-pps": t.PPS} {
			if len(set) > 0 {
				p[key] = b64(set)
			}
		}
	case media.CodecAAC:
		if len(t.AudioConfig) > 0 && strings.HasPrefix(strings.ToLower(t.RTPMap), "mpeg4-generic/") {
			p["config"] = hex.EncodeToString(t.AudioConfig)
		}
	}
	return p
}
