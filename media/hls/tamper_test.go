package hls

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"camrelay/media/mediatest"
)

// plant is a server that does one thing wrong.
type plant struct {
	name    string
	request func(r *http.Request)                                      // changes what is asked
	answer  func(r *http.Request, code int, body []byte) (int, []byte) // changes what is said
	header  string                                                     // is left out
	want    string
}

func (p plant) over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Clone(r.Context())
		if p.request != nil {
			p.request(asked)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, asked)
		code, body := rec.Code, rec.Body.Bytes()
		if p.answer != nil {
			code, body = p.answer(r, code, bytes.Clone(body))
		}
		for k, v := range rec.Header() {
			if k != p.header && k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(code)
		w.Write(body) // it is a recorder
	})
}

// lists makes a plant of what it does to playlists.
func lists(change func(r *http.Request, text string) string) func(*http.Request, int, []byte) (int, []byte) {
	return func(r *http.Request, code int, body []byte) (int, []byte) {
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			body = []byte(change(r, string(body)))
		}
		return code, body
	}
}

// missing makes a plant that does not serve what matches.
func missing(pattern string) func(*http.Request, int, []byte) (int, []byte) {
	re := regexp.MustCompile(pattern)
	return func(r *http.Request, code int, body []byte) (int, []byte) {
		if re.MatchString(r.URL.Path) {
			return http.StatusNotFound, nil
		}
		return code, body
	}
}

var (
	anyPart   = regexp.MustCompile(`(EXT-X-PART:[^\n]*m4s[^",]*")\n`)
	skipCount = regexp.MustCompile(`SKIPPED-SEGMENTS=\d+`)
)

// TestAStrictPlayerFindsWhatIsPlanted is the proof that finding no fault means
// something.
func TestAStrictPlayerFindsWhatIsPlanted(t *testing.T) {
	for _, p := range []plant{
		{name: "nothing"},
		{
			name: "parts that are told to be independent", want: "is independent: false, told is true",
			answer: lists(func(_ *http.Request, text string) string {
				return anyPart.ReplaceAllString(text, "$1,INDEPENDENT=YES\n")
			}),
		},
		{
			name: "an answer before its time", want: "asked for",
			request: func(r *http.Request) {
				if part := r.URL.Query().Get("_HLS_part"); part == "2" {
					r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "_HLS_part=2", "_HLS_part=1")
				}
			},
		},
		{
			name: "a delta update that skips too much", want: "is skipped, and was never listed",
			answer: lists(func(_ *http.Request, text string) string {
				return skipCount.ReplaceAllString(text, "SKIPPED-SEGMENTS=30")
			}),
		},
		{
			name: "a delta update that skips other segments", want: "discontinuity",
			answer: lists(func(_ *http.Request, text string) string {
				if strings.Contains(text, "#EXT-X-SKIP") {
					return strings.Replace(text, "#EXT-X-SKIP", "#EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-SKIP", 1)
				}
				return text
			}),
		},
		{
			name: "a delta update that nobody asked for", want: "nobody asked for",
			request: func(r *http.Request) { r.URL.RawQuery += "&_HLS_skip=YES" },
		},
		{name: "no media", want: "is listed: status 404", answer: missing(`-\d+\.m4s$`)},
		{name: "no init segment", want: "init segment", answer: missing(`-init\d+\.mp4$`)},
		{name: "no parts", want: "status 404", answer: missing(`\.3\.m4s$`)},
		{
			name: "another segment than its parts", want: "its parts have",
			answer: func(r *http.Request, code int, body []byte) (int, []byte) {
				if !strings.Contains(r.URL.Path, ".m3u8") && strings.Count(r.URL.Path, ".") == 1 && code == 200 && len(body) > 500 {
					body = append(body, 0, 0, 0, 8, 'f', 'r', 'e', 'e')
				}
				return code, body
			},
		},
		{
			name: "everything is answered", want: "too far ahead",
			answer: func(_ *http.Request, code int, body []byte) (int, []byte) {
				if code == http.StatusBadRequest {
					code = http.StatusOK
				}
				return code, body
			},
		},
		{name: "ranges are ignored", want: "ten bytes", request: func(r *http.Request) { r.Header.Del("Range") }},
		{name: "scripts may not look", want: "headers of", header: "Access-Control-Allow-Origin"},
		{name: "nothing may be cached", want: "headers of", header: "Cache-Control"},
		{
			name: "a time of day that is wrong", want: "dated",
			answer: lists(func(_ *http.Request, text string) string {
				i := max(strings.LastIndex(text, "PROGRAM-DATE-TIME:2000"), 0)
				return text[:i] + strings.Replace(text[i:], ":2000", ":2001", 1)
			}),
		},
	} {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := settings()
				cfg.Window = 10 * time.Second
				s := newSiteOf(t, cfg, mediatest.H264AAC)
				list := s.begin()
				s.poll(list, 12*time.Second) // until there is something to be skipped
				res := follow(t, p.over(s.server), list, 10*time.Second)
				got := strings.Join(res.Violations, "\n")
				if !strings.Contains(got, p.want) || p.want == "" && got != "" {
					t.Errorf("found %q, want %q", got, p.want)
				}
			})
		})
	}
}
