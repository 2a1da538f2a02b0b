package audio

import (
	"errors"
	"strings"
	"testing"
	"time"

	"camrelay/media"
)

var (
	video = &media.Track{
		ID: 0, Kind: media.KindVideo, Codec: media.CodecH264, ClockRate: 90000, SPS: []byte{1}, PPS: []byte{1},
	}
	mjpeg   = &media.Track{ID: 0, Kind: media.KindVideo, Codec: media.CodecMJPEG, ClockRate: 90000}
	aacMono = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 16000, AudioConfig: []byte{0x14, 0x08},
		SampleRate: 16000, Channels: 1,
	}
	aac48 = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000, AudioConfig: []byte{0x11, 0x88},
		SampleRate: 48000, Channels: 1,
	}
	heAAC = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: 48000, SampleRate: 24000, Channels: 2,
		AudioConfig: []byte{0x2b, 0x11, 0x88, 0x00},
	}
	opus = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecOpus, ClockRate: 48000, SampleRate: 48000, Channels: 2,
	}
	alaw = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecPCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1,
	}
	g722Track = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecG722, ClockRate: 8000, SampleRate: 16000, Channels: 1,
	}
	g726 = &media.Track{ID: 1, Kind: media.KindAudio, RTPMap: "G726-32/8000", ClockRate: 8000}
	odd  = &media.Track{
		ID: 1, Kind: media.KindAudio, Codec: media.CodecL16, ClockRate: 37800, SampleRate: 37800, Channels: 1,
	}
	onvif = &media.Track{ID: 2, Kind: media.KindApplication, ClockRate: 90000}
)

const origin = 5 * time.Second // stream time of the first unit

func tracks(ts ...*media.Track) []*media.Track { return ts }

func TestPlans(t *testing.T) {
	auto, needed := Mode{Policy: Auto}, Mode{Policy: Auto, Needed: true}
	without := errors.New(withoutEncoder)
	for _, tc := range []struct {
		name    string
		tracks  []*media.Track
		mode    Mode
		without error
		want    string // method, In → Out, channels
		reason  string
		silence bool // may stand in
	}{
		{"auto: AAC is copied", tracks(video, aacMono), auto, nil, "copied AAC → AAC 1", "", false},
		{
			"auto: AAC is copied, and silence may stand in where audio is needed",
			tracks(video, aacMono), needed, nil, "copied AAC → AAC 1", "", true,
		},
		{"auto: there is no silence of HE-AAC", tracks(video, heAAC), needed, nil, "copied AAC → AAC 2", "", false},
		{"auto: G.711 becomes AAC", tracks(video, alaw), auto, nil, "made PCMA → AAC 1", "", true},
		{"auto: G.722 becomes AAC", tracks(video, g722Track), auto, nil, "made G722 → AAC 1", "", true},
		{
			"auto: G.711 becomes AAC of two channels",
			tracks(video, alaw),
			Mode{Policy: Auto, Stereo: true},
			nil, "made PCMA → AAC 2", "", true,
		},
		{
			"auto: Opus is left where it is carried",
			tracks(video, opus),
			Mode{Policy: Auto, Opus: true},
			nil, "copied Opus → Opus 2", "", false,
		},
		{
			"auto: Opus is left out where it is not carried",
			tracks(video, opus), auto, nil, "none Opus →  0", "Opus cannot be decoded, so there is none", false,
		},
		{
			"auto: Opus becomes silence where audio is needed",
			tracks(video, opus), needed, nil, "none Opus → AAC 1", "Opus cannot be decoded, so there is silence", true,
		},
		{
			"auto: what has no name is called by the camera's",
			tracks(video, g726), auto, nil, "none G726-32 →  0", "G726-32 cannot be decoded, so there is none", false,
		},
		{
			"auto: a rate that is none",
			tracks(video, odd), auto, nil, "none L16 →  0", "L16 of 37800 Hz cannot be decoded, so there is none", false,
		},
		{"auto: no audio stays none", tracks(video), auto, nil, "none  →  0", "the camera sends no audio", false},
		{
			"auto: no audio becomes silence where it is needed",
			tracks(video, onvif), needed, nil, "none  → AAC 1", "the camera sends no audio, so there is silence", true,
		},
		{
			"auto: the first track that can be carried wins",
			tracks(video, alaw, aacMono), auto, nil, "copied AAC → AAC 1", "", false,
		},
		{"auto: the first that can be decoded is next", tracks(video, opus, alaw), auto, nil, "made PCMA → AAC 1", "", true},
		{
			"auto: without an encoder G.711 is left out",
			tracks(video, alaw), auto, without, "none PCMA →  0", withoutEncoder + ", so there is none", false,
		},
		{
			"auto: or becomes silence",
			tracks(video, alaw), needed, without, "none PCMA → AAC 1", withoutEncoder + ", so there is silence", true,
		},
		{
			"transcode: Opus is never left",
			tracks(video, opus),
			Mode{Policy: Transcode, Opus: true},
			nil, "none Opus →  0", "Opus cannot be decoded, so there is none", false,
		},
		{"transcode: AAC is copied", tracks(video, aacMono), Mode{Policy: Transcode}, nil, "copied AAC → AAC 1", "", false},
		{"silent: AAC becomes silence", tracks(video, aacMono), Mode{Policy: Silent}, nil, "none AAC → AAC 1", "", true},
		{
			"silent: no audio becomes silence",
			tracks(video),
			Mode{Policy: Silent, Stereo: true},
			nil, "none  → AAC 2", "", true,
		},
		{"drop: nothing is left", tracks(video, aacMono, onvif), Mode{Policy: Drop}, nil, "none AAC →  0", "", false},
		{"a camera that is not known yet", nil, auto, nil, "none  →  0", "the camera sends no audio", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPlan(tc.tracks, tc.mode, nil, tc.without)
			got := strings.Join([]string{
				[]string{"none", "copied", "made"}[p.method], p.state.In, "→", p.state.Out, "0",
			}, " ")
			if p.out != nil {
				got = got[:len(got)-1] + string(rune('0'+p.out.Channels))
			}
			if got != tc.want || p.state.Reason != tc.reason || (p.silence != nil) != tc.silence {
				t.Errorf("got %q because %q, silence %v", got, p.state.Reason, p.silence != nil)
			}
			seen := make(map[int]bool)
			for i, tr := range p.tracks {
				if seen[tr.ID] || i > 0 && tr.ID < p.tracks[i-1].ID || !tr.Ready() {
					t.Errorf("track %d of %d is twice there, out of order, or not ready", tr.ID, len(p.tracks))
				}
				seen[tr.ID] = true
			}
			if again := newPlan(tc.tracks, tc.mode, p, tc.without); p.method != copied && again.out != p.out {
				t.Error("the same plan has another track")
			}
		})
	}
}

// TestAudioKeepsItsID: outputs know a track by its ID.
func TestAudioKeepsItsID(t *testing.T) {
	mode := Mode{Policy: Auto, Needed: true}
	p := newPlan(tracks(video), mode, nil, nil)
	for _, now := range [][]*media.Track{
		tracks(video, onvif, withID(aacMono, 3)), tracks(video, withID(alaw, 2)), tracks(video, aacMono), tracks(video),
	} {
		was := p
		p = newPlan(now, mode, was, nil)
		if p.out.ID != 1 || p.tracks[1] != p.out {
			t.Errorf("the audio's ID is %d in %v", p.out.ID, p.tracks)
		}
	}
	p = newPlan(tracks(withID(alaw, 0), withID(video, 1)), mode, p, nil)
	if p.out.ID != 0 {
		t.Errorf("the audio's ID is %d, which video has", p.out.ID)
	}
}
