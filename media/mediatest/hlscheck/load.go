package hlscheck

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// refusals asks for what there is not.
func (f *follower) refusals(ctx context.Context) {
	for _, directives := range []string{"_HLS_part=0", "_HLS_msn=x", "_HLS_msn=1&_HLS_part=-1"} {
		if status := f.status(ctx, directives); status != http.StatusBadRequest {
			f.fault("playlist?%s: status %d, want 400", directives, status)
		}
	}
	bounded := f.bounded(ctx)
	if !bounded { // a segment may have ended meanwhile
		bounded = f.bounded(ctx)
	}
	if !bounded {
		f.fault("a segment too far ahead is not answered with 400")
	}
	for i := range f.had.Segments {
		s := &f.had.Segments[i]
		if s.Gap {
			continue
		}
		a, err := f.get(ctx, http.MethodGet, s.URI, "10-19")
		if err != nil || a.status != http.StatusPartialContent || len(a.body) != 10 {
			f.fault("ten bytes of %s: status %d, %d bytes, %v", s.URI, a.status, len(a.body), err)
		}
	}
}

// status returns that of the answer to directives.
func (f *follower) status(ctx context.Context, directives string) int {
	a, err := f.get(ctx, http.MethodGet, f.with(directives), "")
	if err != nil {
		f.fault("playlist?%s: %v", directives, err)
	}
	return a.status
}

// bounded tells whether the third segment after the last is refused.
func (f *follower) bounded(ctx context.Context) bool {
	l := f.list(ctx, "")
	if l == nil {
		return false
	}
	sequence, _ := l.Edge()
	return f.status(ctx, fmt.Sprintf("_HLS_msn=%d", sequence+2)) == http.StatusBadRequest
}

// load loads what is new in l, and asks for the oldest that is listed. Of the
// first playlist only the newest is loaded.
func (f *follower) load(ctx context.Context, l *List, first bool) {
	asked := false
	for i := range l.Segments {
		s := &l.Segments[i]
		switch {
		case f.loaded[s.URI]:
		case s.Gap || first && i < len(l.Segments)-1:
			f.ends = make(map[uint32]time.Duration)
		default:
			f.segment(ctx, s)
		}
		if !f.loaded[s.URI] && !s.Gap {
			asked = f.listed(ctx, s.URI, s.Map) || asked
		}
		f.loaded[s.URI] = true
	}
	if oldest := &l.Segments[0]; !asked && !oldest.Gap {
		f.listed(ctx, oldest.URI, oldest.Map)
	}
	f.open(ctx, &l.Open)
}

// listed tells of URIs that are listed and not there.
func (f *follower) listed(ctx context.Context, uris ...string) bool {
	for _, uri := range uris {
		if a, err := f.get(ctx, http.MethodHead, uri, ""); err != nil || a.status != http.StatusOK {
			f.fault("%s is listed: status %d, %v", uri, a.status, err)
		}
	}
	return true
}

// open loads the parts of the segment that grows.
func (f *follower) open(ctx context.Context, s *Segment) {
	for i := range s.Parts {
		f.part(ctx, s, i)
	}
}

// segment loads a segment that is complete and holds it against its parts.
func (f *follower) segment(ctx context.Context, s *Segment) {
	var all []byte
	for i := range s.Parts {
		all = append(all, f.part(ctx, s, i)...)
	}
	for i := range s.Parts {
		delete(f.parts, key(&s.Parts[i]))
	}
	a, err := f.get(ctx, http.MethodGet, s.URI, "")
	if err != nil || a.status != http.StatusOK {
		f.fault("%s: status %d, %v", s.URI, a.status, err)
		return
	}
	f.result.Segments++
	f.headers(s.URI, a)
	if len(s.Parts) > 0 && !bytes.Equal(all, a.body) {
		f.fault("%s has %d bytes, its parts have %d or others", s.URI, len(a.body), len(all))
	}
	runs, ok := f.media(ctx, s, s.URI, a.body)
	if !ok {
		return
	}
	for id, r := range runs {
		if len(s.Parts) == 0 { // they are not listed any more: a late player goes on behind the whole
			f.ends[id] = r.to
		}
		if f.inits[s.Map][id].video && (r.to-r.from-s.Duration).Abs() > 2*slack {
			f.fault("%s has %v of pictures, EXTINF tells %v", s.URI, r.to-r.from, s.Duration)
		}
	}
}

// headers tells whether media may be cached and be loaded by scripts.
func (f *follower) headers(uri string, a answer) {
	h := a.header
	if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Accept-Ranges") != "bytes" ||
		!strings.Contains(h.Get("Cache-Control"), "max-age=") {
		f.fault("headers of %s: %v", uri, a.header)
	}
}

// key tells parts apart.
func key(p *Part) string {
	if p.Length > 0 {
		return fmt.Sprintf("%s %d", p.URI, p.Offset)
	}
	return p.URI
}

// part loads part i of s, unless it is there, and judges it.
func (f *follower) part(ctx context.Context, s *Segment, i int) []byte {
	p := &s.Parts[i]
	name := key(p)
	if p.Gap || f.loaded[name] {
		return f.parts[name]
	}
	body, there := f.parts[name]
	if !there {
		span := ""
		want := http.StatusOK
		if p.Length > 0 {
			span, want = fmt.Sprintf("%d-%d", p.Offset, p.Offset+p.Length-1), http.StatusPartialContent
		}
		a, err := f.get(ctx, http.MethodGet, p.URI, span)
		if err != nil || a.status != want || p.Length > 0 && int64(len(a.body)) != p.Length {
			f.fault("%s: status %d, %d bytes, %v", name, a.status, len(a.body), err)
			return nil
		}
		f.headers(p.URI, a)
		body = a.body
	}
	f.parts[name], f.loaded[name] = body, true
	f.result.Parts++
	runs, ok := f.media(ctx, s, name, body)
	if !ok {
		return body
	}
	f.judge(s, i, runs)
	return body
}

// judge holds the media of part i of s against what is told of it.
func (f *follower) judge(s *Segment, i int, runs map[uint32]run) {
	p := &s.Parts[i]
	if i == 0 && s.Discontinuity {
		f.ends = make(map[uint32]time.Duration)
	}
	independent := true
	for id, t := range f.inits[s.Map] {
		r, ok := runs[id]
		if t.video {
			independent = ok && r.key
		}
		if end, known := f.ends[id]; ok && known && (r.from-end).Abs() > 2*slack {
			f.fault("%s begins at %v in track %d, what was before ends at %v", p.URI, r.from, id, end)
		}
		if ok {
			f.ends[id] = r.to
		}
	}
	if independent != p.Independent {
		f.fault("%s is independent: %v, told is %v", p.URI, independent, p.Independent)
	}
}

// media parses what belongs to the init segment of s.
func (f *follower) media(ctx context.Context, s *Segment, name string, body []byte) (map[uint32]run, bool) {
	tracks, ok := f.inits[s.Map]
	if !ok {
		a, err := f.get(ctx, http.MethodGet, s.Map, "")
		if err == nil && a.status == http.StatusOK {
			tracks, err = parseInit(a.body)
		}
		if err != nil || tracks == nil {
			f.fault("init segment %s: status %d, %v", s.Map, a.status, err)
			return nil, false
		}
		f.inits[s.Map] = tracks
	}
	runs, err := parseMedia(tracks, body)
	if err != nil {
		f.fault("%s: %v", name, err)
		return nil, false
	}
	return runs, true
}
