package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"camrelay/media"
	"camrelay/media/trust"
)

// Bounds of a call.
const (
	maxTimeout = 5 * time.Second
	maxAnswer  = 64 << 10 // bytes
	maxError   = 200      // bytes of what a call that failed says
	tellEvery  = time.Minute
)

// Spec says where a hook is and how it is spoken to. It is comparable.
type Spec struct {
	URL         string        // http or https; its query may hold a secret
	Secret      media.Secret  // signs requests; empty: they are not signed
	CA          string        // https: certificates in PEM that are trusted instead of the box's; empty: the box's
	Fingerprint string        // https: SHA-256 of the certificate in hex, trusted whatever it says
	Insecure    bool          // https: any certificate will do
	Timeout     time.Duration // of one call in all; 0 or more than 5 s: 5 s
	Agent       string        // User-Agent
}

// Client speaks to one hook.
type Client struct {
	spec Spec
	base *url.URL
	http *http.Transport // it follows no redirects and quotes no URL in its errors

	mu     sync.Mutex // guards what follows
	status Status
	told   bool      // that the hook fails
	toldAt time.Time // last
}

// Status tells how it goes with a hook.
type Status struct {
	URL           string     `json:"url"` // without secrets
	Delivered     uint64     `json:"delivered"`
	Failed        uint64     `json:"failed"`
	Dropped       uint64     `json:"dropped"`        // events that were never delivered, calls that were left out
	DegradedSince *time.Time `json:"degraded_since"` // when the calls began to fail, null if the last one did not
	LastError     string     `json:"last_error"`     // of the last call that failed; outlives success
}

// NewClient returns a client. It opens no connection.
func NewClient(spec Spec) (*Client, error) {
	base, err := url.Parse(spec.URL)
	if err != nil || base.Host == "" {
		return nil, errors.New("cannot parse the hook's URL") // net/url's error would quote it
	}
	if spec.Timeout <= 0 || spec.Timeout > maxTimeout {
		spec.Timeout = maxTimeout
	}
	peer := trust.Peer{Host: base.Hostname(), Insecure: spec.Insecure, CA: spec.CA, Fingerprint: spec.Fingerprint}
	secure, err := peer.Config()
	if err != nil {
		return nil, fmt.Errorf("cannot judge the hook's certificate: %w", err)
	}
	return &Client{
		spec: spec, base: base, status: Status{URL: media.RedactURL(spec.URL)},
		http: &http.Transport{
			DialContext:     reachOf(base.Hostname()).dial,
			TLSClientConfig: secure, DisableCompression: true, ForceAttemptHTTP2: true,
			MaxConnsPerHost: inFlight, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: maxAnswer,
		},
	}, nil
}

// Close gives idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Reply is a hook's answer, whatever its status.
type Reply struct {
	Code int
	Body []byte // at most 64 kB
}

// errTooLong is of an answer that was not read to its end.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// Post sends v as JSON to the hook's URL, with suffix added to its path. An
// error means that there is no answer, or, where Reply.Code is not 0, that its
// body is not whole; it quotes no URL.
func (c *Client) Post(ctx context.Context, suffix string, v any) (Reply, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Reply{}, fmt.Errorf("cannot encode the request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.spec.Timeout)
	defer cancel()
	reply, err := c.post(ctx, suffix, body)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", c.spec.Timeout)
	}
	return reply, bare(err)
}

// quotation is where a text begins to quote a URL or its query, also as JSON
// and errors may write it.
var quotation = regexp.MustCompile(`:\\*/\\*/|\?[\w.~-]+=`)

// unquoted returns text up to the first URL in it, at most limit bytes.
func unquoted(text string, limit int) string {
	text = strings.ToValidUTF8(text, "") // what falls out may not join the halves of a URL
	if at := quotation.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	return strings.ToValidUTF8(text[:min(len(text), limit)], "")
}

// bare bounds an error and takes out what it quotes of the answer: a status
// line is long and holds what a server likes.
func bare(err error) error {
	if err == nil || unquoted(err.Error(), maxError) == err.Error() {
		return err
	}
	return errors.New(unquoted(err.Error(), maxError))
}

func (c *Client) post(ctx context.Context, suffix string, body []byte) (Reply, error) {
	to := *c.base
	if suffix != "" {
		to = *c.base.JoinPath(suffix)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.spec.Agent != "" {
		req.Header.Set("User-Agent", c.spec.Agent)
	}
	if c.spec.Secret != "" {
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set("Camrelay-Timestamp", stamp)
		req.Header.Set("Camrelay-Signature", "sha256="+sign(c.spec.Secret, stamp, body))
	}
	res, err := c.http.RoundTrip(req)
	if err != nil {
		return Reply{}, err
	}
	defer res.Body.Close() // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		answer, err = answer[:maxAnswer], errTooLong
	}
	return Reply{res.StatusCode, answer}, err
}

// sign returns HMAC-SHA256 over stamp, a dot and body, in hex.
func sign(secret media.Secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// note enters how a call went, and tells whether people are to be told that the
// hook fails or works again: not for each turn of one that fails now and then.
func (c *Client) note(err error) (news bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.status.Delivered++
		c.status.DegradedSince = nil
		news, c.told = c.told, false
		return news
	}
	c.status.Failed++
	c.status.LastError = err.Error()
	if c.status.DegradedSince == nil {
		c.status.DegradedSince = &now
	}
	if c.told || now.Sub(c.toldAt) < tellEvery {
		return false
	}
	c.told, c.toldAt = true, now
	return true
}

// Continue adds what the client of a hook has counted before it was edited.
func (c *Client) Continue(before Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Delivered += before.Delivered
	c.status.Failed += before.Failed
	c.status.Dropped += before.Dropped
	c.status.LastError = before.LastError
}

func (c *Client) drop(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Dropped += n
}

// Status returns how it goes with the hook.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}
