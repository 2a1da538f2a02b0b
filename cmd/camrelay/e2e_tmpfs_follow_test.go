package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// atOnce is how soon what is listed is asked for, by one who counts.
const atOnce = 300 * time.Millisecond

// sightings is what a follower has met with.
type sightings struct {
	playlists, empty int // that listed something, or said that there is nothing now
	asked, late      int // files that were asked for at once, or later than that
	missing          []string
}

func (s *sightings) add(o sightings) {
	s.playlists += o.playlists
	s.empty += o.empty
	s.asked += o.asked
	s.late += o.late
	s.missing = append(s.missing, o.missing...)
}

func (s sightings) String() string {
	return fmt.Sprintf("%d playlists and %d times none, %d files asked for at once and %d later, %d missing",
		s.playlists, s.empty, s.asked, s.late, len(s.missing))
}

// check fails if something listed was missing, or too little was asked for.
func (s sightings) check(t *testing.T, least int) {
	t.Helper()
	for _, m := range s.missing {
		t.Error(m)
	}
	if s.asked < least {
		t.Errorf("%d files were asked for, want %d at least", s.asked, least)
	}
}

// listFollower asks for all that the playlists of a camera list.
type listFollower struct {
	base    string // of the camera
	client  *http.Client
	session map[string]string // query by playlist
	seen    sightings
}

func newListFollower(base string) *listFollower {
	return &listFollower{
		base: base, session: make(map[string]string),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
	}
}

// round looks at each playlist once.
func (f *listFollower) round(ctx context.Context) {
	for _, file := range []string{"live.m3u8", "hls.m3u8", "manifest.mpd"} {
		began := time.Now()
		code, text := f.get(ctx, f.base+"/"+file+f.session[file], false)
		if code != http.StatusOK {
			f.seen.empty++
			if code != http.StatusServiceUnavailable && ctx.Err() == nil {
				f.seen.missing = append(f.seen.missing, fmt.Sprintf("%s/%s: %d %s", f.base, file, code, text))
			}
			continue
		}
		f.seen.playlists++
		list := urisOfHLS
		if strings.HasSuffix(file, ".mpd") {
			list = urisOfDASH
		}
		uris, err := list(text)
		if err != nil {
			f.seen.missing = append(f.seen.missing, err.Error())
		}
		for _, uri := range uris {
			if u, err := url.Parse(uri); err == nil && u.RawQuery != "" {
				f.session[file] = "?" + u.RawQuery
			}
			f.ask(ctx, uri, began)
		}
	}
}

// ask asks for a file that was listed after began.
func (f *listFollower) ask(ctx context.Context, uri string, began time.Time) {
	soon := time.Since(began) < atOnce
	code, _ := f.get(ctx, f.base+"/"+uri, true)
	switch {
	case ctx.Err() != nil:
	case !soon:
		f.seen.late++
	case code == http.StatusOK || code == http.StatusPartialContent:
		f.seen.asked++
	default:
		f.seen.asked++
		f.seen.missing = append(f.seen.missing, fmt.Sprintf("%s: %d, %v after it was listed", uri, code, time.Since(began)))
	}
}

// get returns the status and the text, or of a file only the first byte.
func (f *listFollower) get(ctx context.Context, url string, file bool) (code int, text string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	if file {
		req.Header.Set("Range", "bytes=0-0")
	}
	res, err := f.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	if file {
		return res.StatusCode, ""
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

// urisOfHLS returns what a playlist lists and does not call a gap; what it only
// hints at is not listed. The newest come last, so the oldest are asked for first.
func urisOfHLS(text string) (all []string, err error) {
	gap := false
	for line := range lines(text) {
		tag, attributes, _ := strings.Cut(line, ":")
		_, uri, named := strings.Cut(attributes, `URI="`)
		uri, _, _ = strings.Cut(uri, `"`)
		switch {
		case tag == "#EXT-X-GAP":
			gap = true
		case tag == "#EXT-X-PART" && strings.Contains(attributes, "GAP=YES"):
		case named && (tag == "#EXT-X-PART" || tag == "#EXT-X-MAP"):
			all = append(all, uri)
		case strings.HasPrefix(line, "#") || line == "":
		case gap:
			gap = false
		default:
			all = append(all, line)
		}
	}
	return slices.Compact(all), nil
}

// urisOfDASH returns what a manifest lists.
func urisOfDASH(text string) (all []string, err error) {
	var mpd struct {
		Templates []struct {
			Init  string `xml:"initialization,attr"`
			Media string `xml:"media,attr"`
			S     []struct {
				T int64 `xml:"t,attr"`
				D int64 `xml:"d,attr"`
				R int64 `xml:"r,attr"`
			} `xml:"SegmentTimeline>S"`
		} `xml:"Period>AdaptationSet>Representation>SegmentTemplate"`
	}
	if err := xml.Unmarshal([]byte(text), &mpd); err != nil {
		return nil, err
	}
	for _, t := range mpd.Templates {
		all = append(all, t.Init)
		for _, s := range t.S {
			for i := range s.R + 1 {
				all = append(all, strings.Replace(t.Media, "$Time$", strconv.FormatInt(s.T+i*s.D, 10), 1))
			}
		}
	}
	return all, nil
}
