package camera

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"camrelay/media"
	"camrelay/media/codec"
)

// describe turns what the camera offers into tracks. Back channels are left
// out; of several formats of one media the first that is known is taken.
func describe(offer []*description.Media, log *slog.Logger) (tracks []*media.Track, medias []*description.Media) {
	for _, m := range offer {
		if m.IsBackChannel || len(m.Formats) == 0 {
			continue
		}
		f := m.Formats[max(0, slices.IndexFunc(m.Formats, known))]
		t := media.Track{
			ID: len(tracks), Kind: kindOf(m.Type), ClockRate: f.ClockRate(), PayloadType: f.PayloadType(),
			RTPMap: f.RTPMap(), FMTP: lower(f.FMTP()),
		}
		parameters(&t, f)
		d, err := codec.Describe(t)
		if err != nil {
			log.Warn("the SDP's parameters are not usable, waiting for those in band", "codec", t.Codec, "err", err)
			t.VPS, t.SPS, t.PPS = nil, nil, nil
			d = t
		}
		tracks = append(tracks, &d)
		medias = append(medias, m)
	}
	return tracks, medias
}

func known(f format.Format) bool {
	_, generic := f.(*format.Generic)
	return !generic
}

func kindOf(t description.MediaType) media.Kind {
	switch t {
	case description.MediaTypeVideo:
		return media.KindVideo
	case description.MediaTypeAudio:
		return media.KindAudio
	}
	return media.KindApplication
}

func lower(fmtp map[string]string) map[string]string {
	m := make(map[string]string, len(fmtp))
	for k, v := range fmtp {
		m[strings.ToLower(k)] = v
	}
	return m
}

// parameters fills in the codec and what the SDP says of it.
func parameters(t *media.Track, f format.Format) {
	switch f := f.(type) {
	case *format.H264:
		t.Codec, t.SPS, t.PPS = media.CodecH264, f.SPS, f.PPS
	case *format.H265:
		t.Codec, t.VPS, t.SPS, t.PPS = media.CodecH265, f.VPS, f.SPS, f.PPS
	case *format.MPEG4Audio:
		t.Codec = media.CodecAAC
		if f.Config != nil {
			// Without it the track is not ready, which says enough.
			t.AudioConfig, _ = f.Config.Marshal()
		}
	case *format.Opus:
		t.Codec, t.SampleRate, t.Channels = media.CodecOpus, 48000, f.ChannelCount
	case *format.G711:
		t.Codec, t.SampleRate, t.Channels = media.CodecPCMA, f.SampleRate, f.ChannelCount
		if f.MULaw {
			t.Codec = media.CodecPCMU
		}
	case *format.MJPEG:
		t.Codec = media.CodecMJPEG
	}
}

// readUDP makes gortsplib's packets, in order of their sequence numbers, go
// the way of TCP's.
func (x *session) readUDP() {
	var buf slab
	for id, m := range x.medias {
		track := x.in.lanes[id].track
		x.client.OnPacketRTP(m, formatOf(m, track.PayloadType), func(p *rtp.Packet) {
			x.in.mu.Lock()
			defer x.in.mu.Unlock()
			room := buf.room()
			n, err := p.MarshalTo(room[media.InterleavedHeader:])
			if err != nil {
				return // larger than any datagram
			}
			room[0], room[2], room[3] = '$', byte(n>>8), byte(n)
			whole := media.InterleavedHeader + n
			buf.w += whole
			buf.r = buf.w
			now := time.Now()
			x.in.packet(id, room[:whole], now)
			// A frame's packets come in a burst; its end is the marker's to tell.
			if p.Marker || x.in.packets >= 32 {
				x.in.publish(now)
			}
		})
	}
}

func formatOf(m *description.Media, payloadType uint8) format.Format {
	for _, f := range m.Formats {
		if f.PayloadType() == payloadType {
			return f
		}
	}
	return m.Formats[0]
}
