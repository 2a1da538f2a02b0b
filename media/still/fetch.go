package still

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"camrelay/media"
	"camrelay/media/trust"
)

const (
	maxJPEG      = 8 << 20
	maxRedirects = 3
	maxTries     = 2 * (maxRedirects + 1) // each address may ask for credentials
	maxRefusal   = 64 << 10               // of a body that says no
)

// cameraError is what is wrong with the snapshot of a camera.
type cameraError struct {
	class media.Class
	said  string // to everybody
	err   error  // to the log; nil: no more than that
}

func (e *cameraError) Error() string {
	if e.err == nil {
		return e.said
	}
	return e.said + ": " + e.err.Error()
}

func (e *cameraError) Unwrap() error { return e.err }

// again returns when another attempt is made.
func (e *cameraError) again() time.Duration {
	if e.class == media.ClassCredentials {
		return keepRefusal
	}
	return keepFailure
}

func bad(class media.Class, said string, err error) error {
	return media.Fail(class, &cameraError{class, said, err})
}

// fetch gets the JPEG at the source's URL. It follows redirections within the
// camera, answers Basic and Digest challenges, and takes up to 8 MiB.
func (s Source) fetch(ctx context.Context) ([]byte, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, bad(media.ClassUnsupported, "the camera's snapshot address is no http or https URL", nil)
	}
	client, err := s.client(u)
	if err != nil {
		return nil, bad(media.ClassUnsupported, "the camera's snapshot cannot be fetched", err)
	}
	defer client.CloseIdleConnections()
	authorization, redirects := "", 0
	for range maxTries {
		resp, err := get(ctx, client, u, authorization)
		if err != nil {
			return nil, unreachable(ctx, err)
		}
		switch resp.StatusCode {
		case http.StatusOK:
			return read(resp)
		case http.StatusUnauthorized:
			drain(resp)
			authorization, err = s.answer(resp, u, authorization != "")
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
			http.StatusPermanentRedirect:
			drain(resp)
			redirects++
			u, err = follow(u, resp.Header.Get("Location"), redirects)
			authorization = ""
		default:
			drain(resp)
			err = bad(media.ClassRefused, fmt.Sprintf("the camera refuses its snapshot with status %d", resp.StatusCode), nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, bad(media.ClassRefused, "the camera sends from address to address for its snapshot", nil)
}

// client returns a client for one fetch.
func (s Source) client(u *url.URL) (*http.Client, error) {
	cfg, err := trust.Peer{Host: u.Hostname(), Insecure: s.Insecure, CA: s.CA, Fingerprint: s.Fingerprint}.Config()
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:     (&net.Dialer{}).DialContext,
			TLSClientConfig: cfg, DisableCompression: true, MaxResponseHeaderBytes: maxRefusal,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func get(ctx context.Context, client *http.Client, u *url.URL, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "image/jpeg, */*;q=0.1")
	req.Header.Set("User-Agent", "camrelay")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return client.Do(req)
}

// unreachable tells why a camera cannot be asked. What net/http says quotes the
// URL, whose query may hold a secret.
func unreachable(ctx context.Context, err error) error {
	if quoted, ok := errors.AsType[*url.Error](err); ok {
		err = quoted.Err
	}
	if ctx.Err() != nil {
		return bad(media.ClassNetwork, "the camera does not send its snapshot in time", nil)
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return bad(media.ClassNetwork, "the camera's snapshot address cannot be reached", err)
	}
	if why := trust.Explain(err); media.ClassOf(why) == media.ClassUnsupported {
		return bad(media.ClassUnsupported, "the certificate of the camera's snapshot address is not trusted", why)
	}
	return bad(media.ClassNetwork, "the camera does not speak HTTP at its snapshot address", err)
}

// answer returns what is sent to a camera that wants to know who asks.
func (s Source) answer(resp *http.Response, u *url.URL, refused bool) (string, error) {
	all := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	switch {
	case s.Username == "" && s.Password == "":
		return "", bad(media.ClassCredentials, "the camera wants a user name and a password for its snapshot", nil)
	case refused && !stale(all):
		return "", bad(media.ClassCredentials, "the camera refuses the user name or the password for its snapshot", nil)
	}
	if a := authorize(all, s.Username, s.Password.Reveal(), u.RequestURI()); a != "" {
		return a, nil
	}
	return "", bad(media.ClassUnsupported, "the camera wants an unknown kind of authentication for its snapshot", nil)
}

// follow returns the address of a redirection. The credentials are the camera's,
// so they go nowhere else, and not in clear if they did not before.
func follow(from *url.URL, location string, n int) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil || location == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, bad(media.ClassRefused, "the camera sends elsewhere for its snapshot and does not say where", nil)
	case !strings.EqualFold(to.Hostname(), from.Hostname()):
		return nil, bad(media.ClassRefused, "the camera sends to another host for its snapshot", nil)
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, bad(media.ClassRefused, "the camera sends from https to http for its snapshot", nil)
	case n > maxRedirects:
		return nil, bad(media.ClassRefused, "the camera sends from address to address for its snapshot", nil)
	}
	to.User = nil
	return to, nil
}

// drain lets the connection be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxRefusal) // another connection does as well
	resp.Body.Close()                                  // it was only read
}

// read returns the JPEG that a camera sends.
func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close() // it was only read
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "application/octet-stream" // nothing that is known; the bytes tell
	}
	switch kind {
	case "image/jpeg", "image/jpg", "image/pjpeg", "application/octet-stream":
	default:
		return nil, bad(media.ClassUnsupported, "the camera's snapshot is no JPEG but "+shown(kind), nil)
	}
	if resp.ContentLength > maxJPEG {
		return nil, bad(media.ClassUnsupported, "the camera's snapshot is larger than 8 MiB", nil)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJPEG+1))
	switch {
	case err != nil:
		return nil, bad(media.ClassNetwork, "the camera does not send its snapshot to the end", nil)
	case len(b) > maxJPEG:
		return nil, bad(media.ClassUnsupported, "the camera's snapshot is larger than 8 MiB", nil)
	case !bytes.HasPrefix(b, []byte{0xff, 0xd8, 0xff}):
		return nil, bad(media.ClassUnsupported, "the camera's snapshot is no JPEG", nil)
	}
	return b, nil
}

// shown returns a word of a camera's as it may be told to others.
func shown(word string) string {
	const most = 40
	word = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, word)
	return word[:min(len(word), most)]
}
