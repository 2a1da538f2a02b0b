package hls

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"camrelay/media/hls/playlist"
	"camrelay/media/mediatest"
)

// TestWhatIsListedIsThere asks for everything that playlists have listed within
// the time that it is kept, while there is room for little: in the budget, on a
// file system, and on one that somebody else fills.
func TestWhatIsListedIsThere(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	units := padded(clip.Until(12*time.Second), 10<<10) // some 365 KiB a second
	for _, tc := range []struct {
		name   string
		size   string // of the file system, empty: there is enough
		budget int64
		filled bool // by somebody else, from the seventh second on
	}{
		{"a small budget", "", 1600 << 10, false},
		{"a small file system", "size=1800k", 1 << 30, false},
		{"a file system that somebody else fills", "size=3m", 1 << 30, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.size != "" {
				mount(t, dir, tc.size)
			}
			other := hog{tb: t, name: filepath.Join(dir, "filler")}
			root := openRoot(t, dir)
			synctest.Test(t, func(t *testing.T) {
				r := newRigIn(t, dir, settings(), NewBudget(1<<30, tc.budget).Beware(root), clip.Tracks)
				f := follower{rig: r}
				for i, u := range units {
					r.feed(u)
					if i > 0 {
						time.Sleep(u.DTS - units[i-1].DTS)
					}
					if i%12 == 0 {
						f.look()
					}
					if tc.filled && u.DTS > 7*time.Second {
						other.want = 3 << 20
						other.grow()
					}
				}
				t.Logf("asked %d times, %d gaps", f.asked, r.muxer.Status().Gaps)
				if f.asked < 200 {
					t.Errorf("only %d files were asked for", f.asked)
				}
			})
		})
	}
}

// follower is a player that asks for everything.
type follower struct {
	*rig

	asked  int
	listed []sighting
}

// sighting is when a file was listed last.
type sighting struct {
	uri string
	at  time.Time
}

// look asks for what is listed now, and for what has been a moment ago.
func (f *follower) look() {
	f.tb.Helper()
	now := time.Now()
	f.listed = slices.DeleteFunc(f.listed, func(s sighting) bool { return now.Sub(s.at) > defaultHold })
	f.server.settle(f.muxer)
	low := func() (*playlist.Text, error) { return f.muxer.lowLatency(false) }
	for _, list := range []func() (*playlist.Text, error){f.muxer.plain, low} {
		text, err := list()
		if err != nil {
			continue // there is nothing just now
		}
		for _, uri := range urisOf(string(text.With("", 0))) {
			i := slices.IndexFunc(f.listed, func(s sighting) bool { return s.uri == uri })
			if i < 0 {
				i = len(f.listed)
				f.listed = append(f.listed, sighting{uri: uri})
			}
			f.listed[i].at = now
		}
	}
	for _, s := range f.listed {
		f.asked++
		if res := f.get("/gate/" + s.uri); res.StatusCode != http.StatusOK {
			f.tb.Errorf("%s, listed %v ago: %s", s.uri, now.Sub(s.at), res.Status)
		}
	}
}

// mount puts a tmpfs in the place of dir.
func mount(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("cannot mount a tmpfs, which this test needs root for: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// urisOf returns what a playlist lists and does not call a gap, without queries.
func urisOf(text string) (all []string) {
	gap := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		tag, value, _ := strings.Cut(line, ":")
		switch {
		case line == "#EXT-X-GAP":
			gap = true
			continue
		case tag == "#EXT-X-MAP", tag == "#EXT-X-PART" && !strings.Contains(value, "GAP=YES"):
			_, value, _ = strings.Cut(value, `URI="`)
			line, _, _ = strings.Cut(value, `"`)
		case strings.HasPrefix(line, "#"):
			continue
		case gap:
			gap = false
			continue
		}
		line, _, _ = strings.Cut(line, "?")
		all = append(all, line)
	}
	return all
}
