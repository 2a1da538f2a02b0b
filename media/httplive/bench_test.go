package httplive

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"camrelay/media/hub"
)

// BenchmarkBody sends what one wake-up brings of a camera of 4 Mbit/s: 20 KB.
// The reader at the other end is part of it.
func BenchmarkBody(b *testing.B) {
	chunk := make([]byte, 20<<10)
	for name, send := range map[string]func(w http.ResponseWriter, r *http.Request, n int) error{
		"one call": func(w http.ResponseWriter, r *http.Request, n int) error {
			out := newBody(w, r, formTS, new(hub.Subscription), time.Minute)
			defer out.end()
			for range n {
				if err := errors.Join(out.add(chunk), out.flush()); err != nil {
					return err
				}
			}
			return nil
		},
		"as net.http does it": func(w http.ResponseWriter, _ *http.Request, n int) error {
			control := http.NewResponseController(w)
			for range n {
				if _, err := w.Write(chunk); err != nil {
					return err
				}
				if err := control.Flush(); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := send(w, r, b.N); err != nil {
					b.Error(err)
				}
			}))
			defer server.Close()
			resp, err := http.Get(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Error(err)
			}
		})
	}
}
