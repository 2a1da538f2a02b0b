package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("x", maxSource)
	rows := []struct {
		name string
		code int
		body string
		want Answer
		err  string // in the error; empty: none
	}{
		{"code 0 keeps", 200, `{"code":0}`, Answer{}, ""},
		{"close: true closes", 200, `{"code":0,"close":true}`, Answer{Close: true}, ""},
		{"close: true with space around closes", 200, " {\n\"code\" : 0 , \"close\" : true }\n", Answer{Close: true}, ""},
		{"close: false keeps", 200, `{"code":0,"close":false,"msg":"success"}`, Answer{Reason: "success"}, ""},
		{"close: \"true\" is not true", 200, `{"code":0,"close":"true"}`, Answer{}, ""},
		{"close: 1 is not true", 200, `{"code":0,"close":1}`, Answer{}, ""},
		{"close: null is not true", 200, `{"code":0,"close":null}`, Answer{}, ""},
		{"a source", 200, `{"code":0,"source":"rtsp://u:p@cam/1"}`, Answer{Source: "rtsp://u:p@cam/1"}, ""},
		{"a source that is no text", 200, `{"code":0,"source":{"url":"rtsp://cam"}}`, Answer{}, "source is no text"},
		{"a source of the greatest length", 200, `{"code":0,"source":"` + long + `"}`, Answer{Source: long}, ""},
		{"a source that is too long", 200, `{"code":0,"source":"` + long + `x"}`, Answer{}, "source is no text"},
		{"fields of others", 200, `{"code":0,"close":true,"enable_hls":[1],"x":{}}`, Answer{Close: true}, ""},
		{
			"a reason with a URL", 200, `{"code":0,"close":true,"msg":"no rtsp://u:p@cam"}`,
			Answer{Close: true, Reason: "no rtsp"},
			"",
		},
		{"403 refuses", 403, `{"code":0}`, Answer{Close: true}, ""},
		{"403 refuses with a reason", 403, `{"msg":"not at night"}`, Answer{Close: true, Reason: "not at night"}, ""},
		{"403 refuses with HTML", 403, `<html>`, Answer{Close: true}, ""},
		{"403 brings no source", 403, `{"code":0,"source":"rtsp://cam"}`, Answer{Close: true}, ""},
		{"code 1", 200, `{"code":1,"close":true}`, Answer{}, "code is 1"},
		{"code -1", 200, `{"code":-1,"close":true,"msg":"rtsp://u:p@cam"}`, Answer{}, "code is -1"},
		{"no code", 200, `{"close":true}`, Answer{}, "has no code"},
		{"code as text", 200, `{"code":"0","close":true}`, Answer{}, "no integer"},
		{"code as fraction", 200, `{"code":0.5,"close":true}`, Answer{}, "no integer"},
		{"code null", 200, `{"code":null,"close":true}`, Answer{}, "no integer"},
		{"code true", 200, `{"code":true,"close":true}`, Answer{}, "no integer"},
		{"a list", 200, `[{"code":0,"close":true}]`, Answer{}, `no JSON object: "[{\"code\":0`},
		{"null", 200, `null`, Answer{}, "no code"},
		{"nothing", 200, ``, Answer{}, "no JSON object"},
		{"an object that does not end", 200, `{"code":0,"close":true`, Answer{}, "no JSON object"},
		{"two objects", 200, `{"code":0,"close":true}{}`, Answer{}, "no JSON object"},
		{"HTML", 200, "<html>\x00\x1b[31m", Answer{}, `no JSON object: "<html>\x00\x1b[31m"`},
		{"text with a URL", 200, "see rtsp://user:pass@cam", Answer{}, `no JSON object: "see rtsp"`},
		{"204", 204, ``, Answer{}, "answers 204"},
		{"302", 302, `{"code":0,"close":true}`, Answer{}, "answers 302"},
		{"401", 401, `{"code":0,"close":true}`, Answer{}, "answers 401"},
		{"503", 503, `{"code":0,"close":true}`, Answer{}, "answers 503"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := parse(Reply{row.code, []byte(row.body)})
			if got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
			if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Errorf("error %v, want %q", err, row.err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, body := range []string{
		`{"code":0,"close":true}`, `{"code":0,"source":"rtsp://u:p@cam/1","msg":"ok"}`, `<html>`, `{"code":"0"}`, ``,
	} {
		f.Add(200, []byte(body))
		f.Add(403, []byte(body))
	}
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		a, err := parse(Reply{code, body})
		switch {
		case err != nil && a != (Answer{}):
			t.Errorf("%+v and %v", a, err)
		case err != nil && (len(err.Error()) > 4*shown+64 || strings.ContainsAny(err.Error(), "\n\x1b\x00")):
			t.Errorf("error %q", err)
		case err != nil && quotation.MatchString(err.Error()):
			t.Errorf("error %q shows a URL", err)
		case a.Close && code != forbidden && (code != okay || !json.Valid(body)):
			t.Errorf("%d %q closes", code, body)
		case len(a.Reason) > maxReason || len(a.Source) > maxSource || quotation.MatchString(a.Reason):
			t.Errorf("%+v", a)
		case a.Source != "" && code != okay:
			t.Errorf("%d brings source %q", code, a.Source)
		}
	})
}

// TestBodies checks the names of the fields, which other people's programs know.
func TestBodies(t *testing.T) {
	stream := NewStream("rtsp", "site/yard/cam1", "a=b", "box")
	common := []string{"app", "mediaServerId", "params", "path", "schema", "stream", "vhost"}
	rows := []struct {
		name string
		body any
		want []string
	}{
		{"on_stream_not_found", NotFound{Stream: stream}, []string{"id", "ip", "port", "protocol"}},
		{"on_stream_none_reader", NoneReader{Stream: stream}, []string{"bytes", "hook_index", "since"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			text, err := json.Marshal(row.body)
			var fields map[string]any
			if err == nil {
				err = json.Unmarshal(text, &fields)
			}
			want := slices.Sorted(slices.Values(slices.Concat(common, row.want)))
			if got := slices.Sorted(maps.Keys(fields)); err != nil || !slices.Equal(got, want) {
				t.Errorf("fields %v, %v, want %v", got, err, want)
			}
			if got := fmt.Sprintf("%v %v %v", fields["vhost"], fields["app"], fields["stream"]); got !=
				"__defaultVhost__ site/yard cam1" {
				t.Errorf("it names %s", got)
			}
		})
	}
	if s := NewStream("hls", "cam1", "", ""); s.App != "live" || s.Stream != "cam1" || s.Path != "cam1" {
		t.Errorf("%+v", s)
	}
}

// TestA403NeedsNoBody: the status has said it all.
func TestA403NeedsNoBody(t *testing.T) {
	rows := []struct {
		name string
		hook handle
	}{
		{"none", answer(403, "")},
		{"one without an end", answer(403, strings.Repeat("x", 2*maxAnswer))},
		{"one that breaks off", hijack("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n{")},
		{"one that never comes", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			http.NewResponseController(w).Flush() // the client may be gone
			hang(w, r)
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) // the client may be gone
				row.hook(w, r)
			}))
			t.Cleanup(srv.Close)
			c := newClient(t, Spec{URL: srv.URL, Timeout: 2 * time.Second})
			if a, err := c.Ask(t.Context(), 0, quiet); err != nil || !a.Close {
				t.Errorf("%+v, %v", a, err)
			}
			ended := ""
			r := Rounds{Client: c, End: func(id, _ string) { ended = id }, Log: quiet}
			r.call(t.Context(), Live{ID: "s1"})
			if st := c.Status(); ended != "s1" || st.Failed != 0 {
				t.Errorf("ended %q, status %+v", ended, st)
			}
		})
	}
}

// TestAHookThatHangsIsSeen although who asks has less time than the hook.
func TestAHookThatHangsIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := virtual(t, func(r *http.Request, _ []byte) (int, string, error) {
			<-r.Context().Done()
			return 0, "", r.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Ask(ctx, 0, quiet); err == nil || c.Status().Failed != 1 || c.Status().DegradedSince == nil {
			t.Errorf("%v, %+v", err, c.Status())
		}
	})
}

// TestASourceThatCannotBeUsedIsTold instead of waiting for a path that comes
// another way.
func TestASourceThatCannotBeUsedIsTold(t *testing.T) {
	for _, source := range []string{`{"url":"x"}`, `7`, `true`, `"` + strings.Repeat("x", maxSource+1) + `"`} {
		if a, err := parse(Reply{200, []byte(`{"code":0,"source":` + source + `}`)}); err == nil || a != (Answer{}) {
			t.Errorf("%.40s: %+v, %v", source, a, err)
		}
	}
	for _, source := range []string{`null`, `""`} {
		if a, err := parse(Reply{200, []byte(`{"code":0,"source":` + source + `}`)}); err != nil || a != (Answer{}) {
			t.Errorf("%s: %+v, %v", source, a, err)
		}
	}
}
