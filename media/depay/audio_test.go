package depay

import (
	"strconv"
	"strings"
	"testing"

	"camrelay/media"
)

func aacTrack(fmtp map[string]string) *media.Track {
	return &media.Track{
		Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000, AudioConfig: []byte{0x11, 0x90},
		FMTP: fmtp,
	}
}

// adts returns a frame with an ADTS header (48 kHz, stereo, no CRC).
func adts(frame string) string {
	n := 7 + len(frame)
	return string([]byte{0xff, 0xf1, 0x4c, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc}) + frame
}

// au returns an AU-headers section of 16-bit headers and the frames.
func au(frames ...string) string {
	b := []byte{0, byte(16 * len(frames))}
	for _, f := range frames {
		b = append(b, byte(len(f)>>5), byte(len(f)<<3))
	}
	return string(b) + strings.Join(frames, "")
}

func TestAAC(t *testing.T) {
	long := strings.Repeat("z", 2000)
	for _, tc := range []struct {
		name    string
		track   *media.Track
		packets []sent
		want    string // frames as "stamp:text", ! after what follows a loss
	}{
		{"one frame", aacTrack(nil), []sent{{ts: 9, marker: true, payload: au("abc")}}, "9:abc "},
		{
			"several frames are 1024 ticks apart",
			aacTrack(nil),
			[]sent{{ts: 9, marker: true, payload: au("a", "bb", "ccc")}},
			"9:a 1033:bb 2057:ccc ",
		},
		{
			"frames of 960 samples",
			&media.Track{Codec: media.CodecAAC, ClockRate: 48000, AudioConfig: []byte{0x11, 0x94}},
			[]sent{{ts: 0, marker: true, payload: au("a", "b")}},
			"0:a 960:b ",
		},
		{
			"a clock at twice the rate of the core",
			&media.Track{Codec: media.CodecAAC, ClockRate: 96000, AudioConfig: []byte{0x11, 0x90}},
			[]sent{{ts: 0, marker: true, payload: au("a", "b")}},
			"0:a 2048:b ",
		},
		{"a marker that is never set", aacTrack(nil), []sent{
			{ts: 9, payload: au("abc")},
			{ts: 10, payload: au("d")},
		}, "9:abc 10:d "},
		{
			"other lengths of the header fields",
			aacTrack(map[string]string{"sizelength": "6", "indexlength": "2", "indexdeltalength": "2"}),
			[]sent{{ts: 1, marker: true, payload: "\x00\x10\x08\x0cabdef"}},
			"1:ab 1025:def ",
		},
		{
			"a frame in parts, each with the size of the whole",
			aacTrack(nil),
			[]sent{
				{ts: 5, payload: "\x00\x10\x3e\x80" + long[:1300]},
				{ts: 5, marker: true, payload: "\x00\x10\x3e\x80" + long[1300:]},
				{ts: 6, marker: true, payload: au("n")},
			},
			"5:" + long + " 6:n ",
		},
		{
			"a frame in parts, each with its own size",
			aacTrack(nil),
			[]sent{
				{ts: 5, payload: au(long[:1300])},
				{ts: 5, marker: true, payload: au(long[1300:])},
				{ts: 6, marker: true, payload: au("n")},
			},
			"5:" + long + " 6:n ",
		},
		{
			"a lost part drops one frame",
			aacTrack(nil),
			[]sent{{ts: 5, payload: au(long[:1300])}, {ts: 6, marker: true, payload: au("n"), skip: 1}},
			"6:n! ",
		},
		{
			"a lost packet is told once",
			aacTrack(nil),
			[]sent{{ts: 5, marker: true, payload: au("a")}, {ts: 7, marker: true, payload: au("b", "c"), skip: 1}},
			"5:a 7:b! 1031:c ",
		},
		{
			"go2rtc@8399edce: ADTS in place of AU headers", aacTrack(nil),
			[]sent{{ts: 0, payload: adts("ab") + adts("c")}},
			"0:ab 1024:c ",
		},
		{
			"ADTS behind AU headers", aacTrack(nil),
			[]sent{{ts: 0, marker: true, payload: au(adts("ab"), adts("c"))}},
			"0:ab 1024:c ",
		},
		{"headers that promise more than there is", aacTrack(nil), []sent{
			{ts: 0, marker: true, payload: "\x00\x20\x00\x08\x07\xf8ab"},
			{ts: 1, marker: true, payload: au("n")},
		}, "0:a 1:n "},
		{"nothing but a length", aacTrack(nil), []sent{
			{ts: 0, payload: "\x00\x10"},
			{ts: 1, payload: "\x00"},
			{ts: 2, marker: true, payload: au("n")},
		}, "2:n "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			for _, a := range decode(t, tc.track, wire(tc.packets), true) {
				b.WriteString(strconv.Itoa(int(a.RTP)) + ":" + string(a.Data[0]))
				if a.Lost {
					b.WriteByte('!')
				}
				b.WriteByte(' ')
			}
			if b.String() != tc.want {
				t.Errorf("got %s, want %s", b.String(), tc.want)
			}
		})
	}
}

func TestLATM(t *testing.T) {
	// StreamMuxConfig of RFC 6416 for AAC-LC, 48 kHz, stereo, and one element
	// of three bytes: a length, then the payload.
	track := &media.Track{
		Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000, RTPMap: "MP4A-LATM/48000/2",
		FMTP: map[string]string{"cpresent": "0", "config": "400023203fc0"},
	}
	got := decode(t, track, wire([]sent{
		{ts: 5, payload: "\x03ab"}, {ts: 5, marker: true, payload: "c"}, {ts: 1029, marker: true, payload: "\x01d"},
	}), true)
	if len(got) != 2 || string(got[0].Data[0]) != "abc" || got[0].RTP != 5 || string(got[1].Data[0]) != "d" {
		t.Errorf("got %+v", got)
	}
	track.FMTP = map[string]string{"cpresent": "0"}
	if _, err := New(track); err == nil {
		t.Error("a track that is never configured must be refused")
	}
}

func TestSamples(t *testing.T) {
	for _, tc := range []struct {
		name    string
		track   media.Track
		packets []sent
		want    string
	}{
		{
			"each packet of G.711 is a frame",
			media.Track{Codec: media.CodecPCMA, ClockRate: 8000, Channels: 1},
			[]sent{{ts: 0, payload: "abc"}, {ts: 160, payload: "de", skip: 1}},
			"0:abc 160:de! ",
		},
		{
			"L16 of two channels is cut to whole samples",
			media.Track{Codec: media.CodecL16, ClockRate: 44100, Channels: 2},
			[]sent{{ts: 0, payload: "abcdefg"}, {ts: 1, payload: "abc"}, {ts: 2, payload: "hijk"}},
			"0:abcd 2:hijk ",
		},
		{
			"a track that names no channels has one",
			media.Track{Codec: media.CodecL16, ClockRate: 8000},
			[]sent{{ts: 0, payload: "abc"}},
			"0:ab ",
		},
		{
			"G.722 has a byte for each tick",
			media.Track{Codec: media.CodecG722, ClockRate: 8000, Channels: 1},
			[]sent{{ts: 9, payload: "abc"}},
			"9:abc ",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.track.Kind = media.KindAudio
			var b strings.Builder
			for _, a := range decode(t, &tc.track, wire(tc.packets), true) {
				b.WriteString(strconv.Itoa(int(a.RTP)) + ":" + string(a.Data[0]))
				if a.Lost {
					b.WriteByte('!')
				}
				b.WriteByte(' ')
			}
			if b.String() != tc.want {
				t.Errorf("got %s, want %s", b.String(), tc.want)
			}
		})
	}
	if _, err := New(&media.Track{Kind: media.KindAudio, RTPMap: "G726-32/8000"}); err == nil {
		t.Error("audio that is not known must stay packets")
	}
}
