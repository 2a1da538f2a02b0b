package hls

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzQueries reads the query and the credentials of a request: what is repeated
// in playlists fits into a line and an attribute of one, says the same again, and
// holds no directive; the same request is the same viewer.
func FuzzQueries(f *testing.F) {
	for _, query := range []string{
		"", "token=abc", "session=7&token=a%22b%0A", "_HLS_msn=7&_HLS_part=2", "ladder=gate&x=%0d%0a", "a=1;b=2", "%zz=1&c=d",
		"session=&session=2", "=&&=", "ladder=yard", "x=%00&y=\"",
	} {
		f.Add(query, "Bearer x")
	}
	f.Fuzz(func(t *testing.T, query, authorization string) {
		s := &Server{ladders: map[string][]string{"gate": {"gate", "gate_sub"}}}
		for _, file := range []string{multivariantName, "live.m3u8", tsPlaylist} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/gate_sub/"+file, nil)
			r.URL.RawQuery = query
			r.Header["Authorization"] = []string{authorization}
			v, key := s.newVisit(r, "gate_sub", file)
			for _, suffix := range []string{v.query, v.suffix("gate"), v.suffix("gate_sub")} {
				if strings.ContainsAny(suffix, "\"\r\n\x00 #") || suffix != "" && suffix[0] != '?' {
					t.Fatalf("%q is repeated as %q", query, suffix)
				}
			}
			again, err := url.ParseQuery(strings.TrimPrefix(v.query, "?"))
			if err != nil {
				t.Fatalf("%q is repeated as %q: %v", query, v.query, err)
			}
			for k := range again {
				if strings.HasPrefix(k, "_HLS_") || k == ladderParameter {
					t.Errorf("%q repeats %s", query, k)
				}
			}
			if v.req.Query.Has(sessionParameter) || v.req.Query.Has(ladderParameter) {
				t.Errorf("%q: the opener is told %v", query, v.req.Query)
			}
			if v.req.Path != "gate" && v.req.Path != "gate_sub" {
				t.Errorf("%q asks for %q", query, v.req.Path)
			}
			if _, same := s.newVisit(r, "gate_sub", file); same != key && !v.fresh {
				t.Errorf("%q: another viewer the second time", query)
			}
		}
	})
}
