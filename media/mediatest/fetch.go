package mediatest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Fetch returns the answer to a request with the headers in pairs, of which an
// empty name counts as none, and its whole body as it was sent.
func Fetch(t testing.TB, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, body := fetch(t, method, url, header)
	return &resp, body
}

func fetch(t testing.TB, method, url string, header []string) (answer http.Response, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		if header[i] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return *resp, string(body)
}

// Unknown fails unless a server answers 404 to all paths, to the byte as to the first
// but for the date: nobody learns what there is.
func Unknown(t testing.TB, server string, paths []string) {
	t.Helper()
	first := ""
	for _, path := range paths {
		resp, body := fetch(t, http.MethodGet, server+path, nil)
		var head strings.Builder
		resp.Header.Del("Date")
		if err := resp.Header.Write(&head); err != nil {
			t.Fatal(err)
		}
		text := resp.Status + "\n" + head.String() + "\n" + body
		if first == "" {
			first = text
		}
		if resp.StatusCode != http.StatusNotFound || text != first {
			t.Errorf("%s: %s\nwant\n%s", path, text, first)
		}
	}
}
