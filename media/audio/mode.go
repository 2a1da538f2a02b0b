package audio

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"camrelay/media"
	"camrelay/media/codec"
)

// Policy says what is to become of a camera's audio.
type Policy string

// The policies.
const (
	Auto      Policy = "auto"      // AAC as it is; what can be decoded becomes AAC; the rest as Mode says
	Pass      Policy = "pass"      // everything as the camera sends it
	Silent    Policy = "silent"    // silence in place of the camera's audio, or of none
	Transcode Policy = "transcode" // as Auto, for outputs that carry nothing but AAC
	Drop      Policy = "drop"      // no audio
)

// Mode is a policy and what it depends on of the output. It is comparable; the
// zero Mode passes everything.
type Mode struct {
	Policy Policy
	Opus   bool // Auto: the output carries Opus, so it is left as it is
	Needed bool // Auto, Transcode: the output takes no stream without audio, so silence stands in for it
	Stereo bool // what is made has two channels; both are the same
}

// passes tells whether the mode leaves everything as it is.
func (m Mode) passes() bool { return m.Policy == Pass || m.Policy == "" }

// State is what a view does now.
type State struct {
	Mode    Mode
	In, Out string // codecs of the camera's audio and of the view's, as media.Codec names them; empty for none
	// Reason tells in words why Out is not what the mode lets expect: that there
	// is none, or silence. It is empty if all is as it should be.
	Reason string
}

// Reasons that are not those of a track.
const (
	withoutEncoder = "this program was built without an AAC encoder"
	noAudio        = "the camera sends no audio"
)

// method is how a view comes by its audio.
type method uint8

const (
	none   method = iota // it has none, or nothing but silence
	copied               // the camera's own units
	made                 // frames of the transcoder
)

// plan is what a view does with the tracks of a camera. It is immutable.
type plan struct {
	of      []*media.Track // the camera's
	tracks  []*media.Track // the view's
	method  method
	source  *media.Track // of the camera, whose audio is copied or transcoded; nil for none
	out     *media.Track // the view's audio; nil for none
	silence [][]byte     // a frame that may stand in for out's; nil if none may
	video   bool         // there are units of video
	state   State
}

// newPlan decides what becomes of the audio of tracks. was is the plan before,
// nil for none: outputs know a track by its ID, so the view's audio keeps its
// own. without is why there is no encoder, nil if there is one.
func newPlan(tracks []*media.Track, m Mode, was *plan, without error) *plan {
	p := &plan{of: tracks, state: State{Mode: m}}
	var sound []*media.Track
	for _, t := range tracks {
		if t.Kind == media.KindAudio {
			sound = append(sound, t)
		} else {
			p.tracks = append(p.tracks, t)
			p.video = p.video || t.Kind == media.KindVideo && t.HasUnits()
		}
	}
	if len(sound) > 0 {
		p.source = sound[0]
	}
	switch m.Policy {
	case Drop:
	case Silent:
		p.beSilent(m, "")
	default:
		p.choose(sound, m, without)
	}
	if p.source != nil {
		p.state.In = nameOf(p.source)
	}
	if p.out != nil {
		p.state.Out = nameOf(p.out)
		p.keep(was)
		p.tracks = append(p.tracks, p.out)
		slices.SortStableFunc(p.tracks, func(a, b *media.Track) int { return cmp.Compare(a.ID, b.ID) })
	}
	return p
}

// keep gives the view's audio what it had before: its ID, and the very track if
// nothing else has changed either.
func (p *plan) keep(was *plan) {
	if was == nil || was.out == nil {
		return
	}
	taken := slices.ContainsFunc(p.tracks, func(t *media.Track) bool { return t.ID == was.out.ID })
	switch {
	case taken:
	case p.method != copied && was.method != copied:
		p.out = was.out
	case p.out.ID != was.out.ID:
		p.out = withID(p.out, was.out.ID)
	}
}

// withID returns t under another ID.
func withID(t *media.Track, id int) *media.Track {
	c := *t
	c.ID = id
	return &c
}

// choose takes the first track that can be copied, else the first that can be
// transcoded, else none.
func (p *plan) choose(sound []*media.Track, m Mode, without error) {
	carried := func(t *media.Track) bool {
		return t.Codec == media.CodecAAC || t.Codec == media.CodecOpus && m.Policy == Auto && m.Opus
	}
	if i := slices.IndexFunc(sound, carried); i >= 0 {
		p.method, p.source, p.out = copied, sound[i], sound[i]
		if m.Needed {
			p.silence = silenceFor(p.out)
		}
		return
	}
	why := noAudio
	for _, t := range sound {
		reason := decodable(t)
		switch {
		case reason != "":
			why = reason
		case without != nil:
			p.source, why = t, without.Error()
		default:
			p.method, p.source, p.out = made, t, newTrack(t.ID, m.Stereo)
			p.silence = silenceFor(p.out)
			return
		}
	}
	if m.Needed {
		p.beSilent(m, why)
		return
	}
	p.state.Reason = why
	if len(sound) > 0 {
		p.state.Reason += ", so there is none"
	}
}

// beSilent makes a track of nothing but silence.
func (p *plan) beSilent(m Mode, why string) {
	id := 0
	for _, t := range p.of {
		id = max(id, t.ID+1)
	}
	if p.source != nil {
		id = p.source.ID
	}
	p.method, p.out = none, newTrack(id, m.Stereo)
	p.silence = silenceFor(p.out)
	if why != "" {
		p.state.Reason = why + ", so there is silence"
	}
}

// nameOf names the codec of a track: what has no name of its own is called
// what the camera calls it.
func nameOf(t *media.Track) string {
	if t.Codec == media.CodecUnknown {
		if name, _, _ := strings.Cut(t.RTPMap, "/"); name != "" {
			return name
		}
	}
	return t.Codec.String()
}

// newTrack returns the track of what is made.
func newTrack(id int, stereo bool) *media.Track {
	t := &media.Track{
		ID: id, Kind: media.KindAudio, Codec: media.CodecAAC, ClockRate: rate, RTPMap: "mpeg4-generic/48000/1",
		AudioConfig: []byte{0x11, 0x88}, SampleRate: rate, Channels: 1,
	}
	if stereo {
		t.RTPMap, t.AudioConfig, t.Channels = "mpeg4-generic/48000/2", []byte{0x11, 0x90}, 2
	}
	return t
}

// silenceFor returns a frame that decodes to zeros in a track, nil if there is
// none. It holds no band, so that it means the same at any rate.
func silenceFor(t *media.Track) [][]byte {
	a, err := codec.ParseAudio(t.AudioConfig)
	const lc = 2
	if err != nil || t.Codec != media.CodecAAC || a.Signalled != lc || a.Samples != block {
		return nil
	}
	switch a.Channels {
	case 1:
		return [][]byte{{0x00, 0x00, 0x20, 0x07}}
	case 2:
		return [][]byte{{0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c}}
	}
	return nil
}

// errWithout is why a build without an encoder has no transcoder.
func errWithout() error {
	if built {
		return nil
	}
	return errors.New(withoutEncoder)
}
