package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Client asks the API of a daemon. It may be used from any goroutine.
type Client struct {
	http  *http.Client
	base  string
	token string
}

// NewClient returns a client of the API at where: the path of its unix socket, or
// its URL. token is presented unless it is empty; root needs none at the socket.
func NewClient(where, token string) *Client {
	c := &Client{http: &http.Client{}, base: strings.TrimSuffix(where, "/"), token: token}
	if !strings.Contains(where, "://") {
		c.base = "http://localhost"
		c.http.Transport = &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", where)
			},
			DisableKeepAlives: true,
		}
	}
	return c
}

// ErrNobody is the error of a client that finds no daemon.
var ErrNobody = errors.New("no daemon answers")

// AnswerError is an answer that says what is wrong.
type AnswerError struct {
	Code   int
	Detail string // in the words of the API
}

// Error returns the words of the API.
func (e *AnswerError) Error() string {
	if e.Code == http.StatusUnauthorized {
		return "the API wants credentials; be root, or give -token-file"
	}
	return e.Detail
}

// Get decodes the answer to a GET into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	return c.Do(ctx, http.MethodGet, path, nil, v)
}

// Do sends body as JSON, unless it is nil, and decodes the answer into v, unless
// that is nil. The error is an ErrNobody, or of type *AnswerError, or another.
func (c *Client) Do(ctx context.Context, method, path string, body, v any) error {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return fmt.Errorf("cannot encode: %w", err)
		}
	}
	answer, err := c.Open(ctx, method, path, &text)
	if err != nil {
		return err
	}
	defer answer.Close()
	if v == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(v); err != nil {
		return fmt.Errorf("cannot read the API's answer: %w", err)
	}
	return nil
}

// Open returns the body of an answer, which the caller closes. Its error is as
// that of Do.
func (c *Client) Open(ctx context.Context, method, path string, body *bytes.Buffer) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, errors.New("bad address of the API")
	}
	if body.Len() > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, ErrNobody
	case err != nil:
		return nil, fmt.Errorf("cannot ask the API: %w", err)
	case res.StatusCode >= http.StatusBadRequest:
		defer res.Body.Close()
		return nil, answerError(res)
	}
	return res.Body, nil
}

// answerError reads an error in either of the API's shapes.
func answerError(res *http.Response) *AnswerError {
	e := &AnswerError{Code: res.StatusCode, Detail: "the API answers " + res.Status}
	var said struct{ Detail, Error string }
	if json.NewDecoder(io.LimitReader(res.Body, MaxBody)).Decode(&said) == nil && said.Detail+said.Error != "" {
		e.Detail = said.Detail + said.Error
	}
	return e
}
