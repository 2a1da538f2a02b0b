package camera

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"camrelay/media"
)

func TestDescribe(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	annexB := append([]byte{0, 0, 0, 1}, sps...)
	tests := []struct {
		name, sdp, want string
	}{
		{
			"H.264 and AAC", sdpH264 + "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/48000/2\n" +
				"a=fmtp:97 mode=AAC-hbr; sizelength=13;config=1190\na=control:trackID=1\n",
			"video H264 96 90000 ready 352x288 @trackID=0, audio AAC 97 48000 ready 48000/2 @trackID=1",
		},
		{
			"static types without rtpmap", "m=video 0 RTP/AVP 26\nm=audio 0 RTP/AVP 8\n",
			"video MJPEG 26 90000 ready @, audio PCMA 8 8000 ready 8000/1 @",
		},
		{
			"sound in samples",
			"m=audio 0 RTP/AVP 9\nm=audio 0 RTP/AVP 10\nm=audio 0 RTP/AVP 97\na=rtpmap:97 L16/16000\n",
			"audio G722 9 8000 ready 16000/1 @, audio L16 10 44100 ready 44100/2 @, audio L16 97 16000 ready 16000/1 @",
		},
		{"no parameters at all", "m=video 0 RTP/AVP 96\na=rtpmap:96 h264/90000\n", "video H264 96 90000 @"},
		{
			"parameters with start codes and a comma too many",
			"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n" +
				"a=fmtp:96 sprop-parameter-sets=" + b64(annexB) + "," + b64(pps) + ",\n",
			"video H264 96 90000 ready 352x288 @",
		},
		{
			"an SPS that is none", "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n" +
				"a=fmtp:96 sprop-parameter-sets=Z2QAKA==,aO48gA==\n",
			"video H264 96 90000 @",
		},
		{
			"back channel, inactive and unknown media",
			"m=audio 0 RTP/AVP 0\na=sendonly\nm=audio 0 RTP/AVP 0\na=inactive\nm=text 0 RTP/AVP 98\n" +
				"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
			"video H264 96 90000 @",
		},
		{
			"metadata", "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:m\n",
			"application unknown 107 90000 ready @m",
		},
		{
			"the same track twice", "m=audio 0 RTP/AVP 0\na=control:a\nm=audio 0 RTP/AVP 0\na=control:a\n",
			"audio PCMU 0 8000 ready 8000/1 @a",
		},
		{
			"the first of twenty formats that is known",
			"m=audio 0 RTP/AVP 98 99 0 8\na=rtpmap:98 G726-32/8000\na=rtpmap:99 L8/8000\n", "audio PCMU 0 8000 ready 8000/1 @",
		},
		{
			"AAC that says nothing", "m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/16000/1\na=fmtp:97 config=zz\n",
			"audio AAC 97 16000 ready 16000/1 @",
		},
		{
			"LATM", "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/48000/2\na=fmtp:97 cpresent=0;config=400023203fc0\n",
			"audio AAC 97 48000 ready 48000/2 @",
		},
		{"Opus", "m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n", "audio Opus 97 48000 ready 48000/2 @"},
		{"a clock rate of nothing", "m=audio 0 RTP/AVP 97\na=rtpmap:97 X/0\n", "audio unknown 97 8000 ready 8000/1 @"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, sections := parseSDP([]byte(tt.sdp))
			var got []string
			for i, o := range describe(sections, slog.New(slog.DiscardHandler)) {
				tr := o.track
				s := fmt.Sprintf("%s %s %d %d", tr.Kind, tr.Codec, tr.PayloadType, tr.ClockRate)
				if tr.Ready() {
					s += " ready"
				}
				if tr.Width > 0 {
					s += fmt.Sprintf(" %dx%d", tr.Width, tr.Height)
				}
				if tr.Kind == media.KindAudio {
					s += fmt.Sprintf(" %d/%d", tr.SampleRate, tr.Channels)
				}
				if tr.ID != i {
					t.Errorf("ID %d of track %d", tr.ID, i)
				}
				got = append(got, s+" @"+o.control)
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}
