package hlscheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Result is what a player has found.
type Result struct {
	Violations []string // none if all is well; at most maxViolations
	Playlists  int
	Deltas     int // of them
	Segments   int // loaded whole
	Parts      int
	Hints      int // parts that were loaded before they were listed

	// Waits tells of each blocking request how long its answer took.
	Waits []time.Duration
	// Newest is the last playlist.
	Newest *List
}

// maxViolations bounds what is told: one fault has many consequences.
const maxViolations = 40

// maxFailures is how many playlists in a row may fail to load before Follow
// gives up.
const maxFailures = 5

// follower is a player.
type follower struct {
	ctx    func() error // of the context
	client *http.Client
	base   *url.URL
	result Result

	had      *List
	inits    map[string]map[uint32]track // by URI
	parts    map[string][]byte           // of the segments that are not complete yet, by URI
	ends     map[uint32]time.Duration    // of tracks, media time
	loaded   map[string]bool             // URIs of segments
	edges    map[string]uint64           // newest known segment of other renditions
	failures int
}

// Follow plays the low-latency media playlist at address until ctx is done: it
// loads each version of it by blocking reload, every other one as a delta
// update, and each part and segment in it.
func Follow(ctx context.Context, client *http.Client, address string) *Result {
	base, err := url.Parse(address)
	if err != nil {
		return &Result{Violations: []string{"the address is no URL"}}
	}
	f := &follower{
		ctx: ctx.Err, client: client, base: base,
		inits: make(map[string]map[uint32]track), parts: make(map[string][]byte), ends: make(map[uint32]time.Duration),
		loaded: make(map[string]bool), edges: make(map[string]uint64),
	}
	if f.had = f.list(ctx, ""); f.had == nil {
		return &f.result
	}
	f.refusals(ctx)
	f.load(ctx, f.had, true)
	for n := 0; ctx.Err() == nil && len(f.result.Violations) < maxViolations && f.failures < maxFailures; n++ {
		f.step(ctx, n)
	}
	f.result.Newest = f.had
	return &f.result
}

func (f *follower) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if f.ctx() == nil && len(f.result.Violations) < maxViolations && !slices.Contains(f.result.Violations, text) {
		f.result.Violations = append(f.result.Violations, text)
	}
}

// answer is what a server says to one request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get loads a URI as it stands in the playlist.
func (f *follower) get(ctx context.Context, method, uri, bytes string) (answer, error) {
	ref, err := url.Parse(uri)
	if err != nil {
		return answer{}, errors.New("strange URI")
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base.ResolveReference(ref).String(), nil)
	if err != nil {
		return answer{}, err
	}
	if bytes != "" {
		req.Header.Set("Range", "bytes="+bytes)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close() // it was only read
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, body}, err
}

// with returns the address of the playlist with delivery directives.
func (f *follower) with(directives string) string {
	u := *f.base
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+directives, "&")
	return u.String()
}

// list loads the playlist, nil if that fails.
func (f *follower) list(ctx context.Context, directives string) *List {
	a, err := f.get(ctx, http.MethodGet, f.with(directives), "")
	if err != nil || a.status != http.StatusOK {
		f.fault("playlist?%s: status %d, %v", directives, a.status, err)
		f.failures++
		return nil
	}
	f.failures = 0
	if t := a.header.Get("Content-Type"); t != "application/vnd.apple.mpegurl" {
		f.fault("a playlist of type %q", t)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Cache-Control"), "no-") {
		f.fault("headers of a playlist: %v", a.header)
	}
	l, faults := Parse(a.body)
	for _, s := range faults {
		f.fault("%s", s)
	}
	f.result.Playlists++
	return l
}

// step loads the next version of the playlist and what is new in it.
func (f *follower) step(ctx context.Context, n int) {
	sequence, part := f.had.Edge()
	directives := fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", sequence, part)
	if n%2 == 1 {
		directives += "&_HLS_skip=YES"
	}
	hinted := make(chan answer, 1)
	go func() {
		a, _ := f.get(ctx, http.MethodGet, f.had.Hint, "") // its status is 0 then
		hinted <- a
	}()
	asked := time.Now()
	l := f.list(ctx, directives)
	f.result.Waits = append(f.result.Waits, time.Since(asked))
	hint := <-hinted
	if l == nil {
		if l = f.list(ctx, ""); l == nil {
			return
		}
	} else if s, p := l.Edge(); s < sequence || s == sequence && p <= part {
		f.fault("asked for %d.%d, the answer ends with %d.%d", sequence, part, s, p-1)
	}
	if l.Skipped > 0 {
		f.result.Deltas++
		if n%2 == 0 {
			f.fault("a delta update that nobody asked for")
		}
	}
	for _, s := range append(l.Merge(f.had), Follows(f.had, l)...) {
		f.fault("%s", s)
	}
	f.takeHint(l, f.had.Hint, hint)
	f.load(ctx, l, false)
	if n%8 == 1 {
		f.compare(ctx, l)
		f.reports(ctx, l)
	}
	f.had = l
}

// takeHint keeps what a hint has brought if it is listed now.
func (f *follower) takeHint(l *List, uri string, a answer) {
	named := func(p Part) bool { return p.URI == uri && p.Length == 0 && !p.Gap }
	listed := slices.ContainsFunc(l.Open.Parts, named)
	for i := range l.Segments {
		listed = listed || slices.ContainsFunc(l.Segments[i].Parts, named)
	}
	switch {
	case !listed:
	case a.status != http.StatusOK:
		f.fault("hint %s: status %d", uri, a.status)
	default:
		f.parts[uri] = a.body
		f.result.Hints++
	}
}

// compare loads the whole playlist right after a delta update.
func (f *follower) compare(ctx context.Context, l *List) {
	whole := f.list(ctx, "")
	if whole == nil {
		return
	}
	if whole.Skipped > 0 {
		f.fault("a delta update that nobody asked for")
		return
	}
	for _, s := range Follows(l, whole) {
		f.fault("the whole playlist after a delta update: %s", s)
	}
}

// reports holds what is told of other renditions against their playlists.
func (f *follower) reports(ctx context.Context, l *List) {
	for _, r := range l.Reports {
		if u, err := url.Parse(r.URI); err != nil || u.IsAbs() || strings.HasPrefix(r.URI, "/") {
			f.fault("rendition report for %s, which is not relative", r.URI)
			continue
		}
		if r.Sequence < f.edges[r.URI] {
			f.fault("rendition report of %s tells of segment %d after %d", r.URI, r.Sequence, f.edges[r.URI])
		}
		a, err := f.get(ctx, http.MethodGet, r.URI, "")
		if err != nil || a.status != http.StatusOK {
			f.fault("rendition %s: status %d, %v", r.URI, a.status, err)
			continue
		}
		other, _ := Parse(a.body)
		sequence, n := other.Edge()
		if sequence < r.Sequence || sequence == r.Sequence && n <= r.Part {
			f.fault("rendition %s ends with %d.%d, its report tells of %d.%d", r.URI, sequence, n-1, r.Sequence, r.Part)
		}
		if other.Target != l.Target || other.PartTarget > l.PartTarget || other.Control["PART-HOLD-BACK"] !=
			l.Control["PART-HOLD-BACK"] {
			f.fault("rendition %s promises other lengths: %v %v", r.URI, other.Target, other.Control)
		}
		f.edges[r.URI] = sequence - 1
	}
}
