package mediatest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/codec"
)

// Kind names a clip.
type Kind string

// The clips: 320×240 at 25 pictures per second, key frames 1 s apart, 48 kHz
// audio, 8 s long, which is a whole number of frames of every track.
const (
	H264      Kind = "H264"      // baseline profile, no audio
	H264AAC   Kind = "H264AAC"   // baseline profile, AAC-LC stereo
	H264B     Kind = "H264B"     // high profile with a pyramid of B-frames, AAC-LC stereo
	H264BOnly Kind = "H264BOnly" // the same without audio
	H264Opus  Kind = "H264Opus"  // baseline profile, Opus
	H265AAC   Kind = "H265AAC"   // main profile without B-frames, AAC-LC stereo
	H265B     Kind = "H265B"     // main profile with B-frames, AAC-LC stereo
	AAC       Kind = "AAC"       // audio only
	H264Large Kind = "H264Large" // 640×480, to follow another clip as a change of parameters; AAC-LC stereo
)

// Kinds returns all kinds that have units of video.
func Kinds() []Kind { return []Kind{H264, H264AAC, H264B, H264Opus, H265AAC, H265B} }

const (
	clipLength = 8 * time.Second
	clipStart  = time.Second // PTS of the first picture
	clipFPS    = 25
)

// Clip is a short piece of media that goes on for ever.
type Clip struct {
	Kind   Kind
	Tracks []*media.Track // video first
	File   string         // the MP4 that it was read from
	Length time.Duration  // after which it begins again

	units []*media.Unit // one round, in order of DTS
}

// recipe returns the arguments of ffmpeg between the inputs and the file.
func (k Kind) recipe() (video, audio []string) {
	const x265 = "log-level=none:keyint=25:min-keyint=25:scenecut=0:open-gop=0:bframes="
	h264 := strings.Fields("-c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p")
	h265 := strings.Fields("-c:v libx265 -preset ultrafast -tag:v hvc1 -pix_fmt yuv420p -x265-params")
	aac := strings.Fields("-c:a aac -b:a 64k")
	switch k {
	case H264:
		return append(h264, "-profile:v", "baseline"), nil
	case H264AAC, H264Large:
		return append(h264, "-profile:v", "baseline"), aac
	case H264B:
		return append(h264, strings.Fields("-profile:v high -bf 3 -b_strategy 0 -refs 3 -b-pyramid normal")...), aac
	case H264BOnly:
		return append(h264, strings.Fields("-profile:v high -bf 3 -b_strategy 0 -refs 3 -b-pyramid normal")...), nil
	case H264Opus:
		return append(h264, "-profile:v", "baseline"), strings.Fields("-c:a libopus -b:a 48k")
	case H265AAC:
		return append(h265, x265+"0"), aac
	case H265B:
		return append(h265, x265+"3:b-adapt=0"), aac
	case AAC:
		return nil, aac
	}
	return nil, nil
}

// MakeClip returns the clip of a kind. It is made with ffmpeg once and kept in
// the user's cache directory.
func MakeClip(tb testing.TB, kind Kind) *Clip {
	tb.Helper()
	file := clipFile(tb, kind)
	c := &Clip{Kind: kind, File: file, Length: clipLength}
	p := Probe(tb, file)
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range p.Streams {
		c.Tracks = append(c.Tracks, newTrack(tb, s))
	}
	counts := make([]int, len(c.Tracks))
	for _, pk := range p.Packets {
		t := c.Tracks[pk.Stream]
		if counts[pk.Stream] < roundLength(t) {
			c.units = append(c.units, newUnit(tb, t, pk, raw))
			counts[pk.Stream]++
		}
	}
	for i, n := range counts {
		if want := roundLength(c.Tracks[i]); n != want {
			tb.Fatalf("clip %s: track %d has %d frames, want %d", kind, i, n, want)
		}
	}
	slices.SortStableFunc(c.units, func(a, b *media.Unit) int { return cmp.Compare(a.DTS, b.DTS) })
	if c.Video() == nil { // as depay has it: readers may begin anywhere
		for _, u := range c.units {
			u.Key = true
		}
	}
	return c
}

// roundLength returns the frames of a track in one round of a clip.
func roundLength(t *media.Track) int {
	switch t.Codec {
	case media.CodecAAC:
		return int(clipLength * time.Duration(t.SampleRate) / 1024 / time.Second)
	case media.CodecOpus:
		return int(clipLength / (20 * time.Millisecond))
	}
	return int(clipLength / time.Second * clipFPS)
}

// clipFile returns the MP4 of a kind, made if need be.
func clipFile(tb testing.TB, kind Kind) string {
	tb.Helper()
	size := "320x240"
	if kind == H264Large {
		size = "640x480"
	}
	video, audio := kind.recipe()
	args := strings.Fields("-nostdin -v error -y")
	if video != nil {
		source := fmt.Sprintf("testsrc2=s=%s:r=%d:d=%d", size, clipFPS, clipLength/time.Second)
		args = append(args, "-f", "lavfi", "-i", source)
	}
	if audio != nil {
		args = append(args, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:d=9,aformat=channel_layouts=stereo")
	}
	args = append(append(args, video...), audio...)
	sum := sha256.Sum256([]byte(strings.Join(args, " ")))
	dir, err := os.UserCacheDir()
	if err != nil || os.MkdirAll(filepath.Join(dir, "camrelay-test"), 0o755) != nil {
		dir = tb.TempDir()
	} else {
		dir = filepath.Join(dir, "camrelay-test")
	}
	file := filepath.Join(dir, string(kind)+"-"+hex.EncodeToString(sum[:6])+".mp4")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return file
	}
	made := filepath.Join(tb.TempDir(), "clip.mp4")
	if out, err := exec.CommandContext(tb.Context(), "ffmpeg", append(args, made)...).CombinedOutput(); err != nil {
		tb.Fatalf("cannot make clip %s: %v\n%s", kind, err, out)
	}
	if err := place(made, file); err != nil {
		return made
	}
	return file
}

// place moves a file to its final name, whole or not at all.
func place(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), "clip-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Video returns the video track, nil if there is none.
func (c *Clip) Video() *media.Track {
	if c.Tracks[0].Kind == media.KindVideo {
		return c.Tracks[0]
	}
	return nil
}

// Round returns the number of units after which the clip begins again.
func (c *Clip) Round() int { return len(c.units) }

// Unit returns the i-th unit, i ≥ 0, in order of DTS. Times rise for ever: the
// first picture has PTS 1 s, and each round follows the one before. Wall is not
// set.
func (c *Clip) Unit(i int) *media.Unit {
	u := *c.units[i%len(c.units)]
	shift := time.Duration(i/len(c.units)) * c.Length
	u.PTS += shift
	u.DTS += shift
	return &u
}

// Units returns the first n units.
func (c *Clip) Units(n int) []*media.Unit {
	us := make([]*media.Unit, n)
	for i := range us {
		us[i] = c.Unit(i)
	}
	return us
}

// Until returns the units whose DTS lies before the first picture's PTS plus d.
func (c *Clip) Until(d time.Duration) []*media.Unit {
	var us []*media.Unit
	for i := 0; c.Unit(i).DTS < clipStart+d; i++ {
		us = append(us, c.Unit(i))
	}
	return us
}

// Describe fills in what parameter sets say; see codec.Describe.
func describe(tb testing.TB, t media.Track) *media.Track {
	tb.Helper()
	d, err := codec.Describe(t)
	if err != nil {
		tb.Fatal(err)
	}
	return &d
}
