package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Stream names a stream as ZLMediaKit does.
type Stream struct {
	Schema string `json:"schema"` // rtsp, hls, …
	Vhost  string `json:"vhost"`
	App    string `json:"app"`
	Stream string `json:"stream"`
	Params string `json:"params"`
	Server string `json:"mediaServerId"`
	Path   string `json:"path"` // as camrelay names it
}

// NewStream names the stream at path: what stands before its last slash is the
// app, which is live where there is none.
func NewStream(schema, path, params, server string) Stream {
	s := Stream{
		Schema: schema, Vhost: "__defaultVhost__", App: "live", Stream: path, Params: params, Server: server, Path: path,
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		s.App, s.Stream = path[:i], path[i+1:]
	}
	return s
}

// NotFound is the body of on_stream_not_found: a player wants a stream that is
// not there.
type NotFound struct {
	Stream
	Protocol string `json:"protocol"`
	IP       string `json:"ip"`
	Port     int    `json:"port"`
	ID       string `json:"id"` // of this question
}

// NoneReader is the body of on_stream_none_reader: a stream runs that nobody reads.
type NoneReader struct {
	Stream
	Index int       `json:"hook_index"` // how often it was asked before
	Since time.Time `json:"since"`      // when the last one left
	Bytes uint64    `json:"bytes"`      // received in all
}

// Answer is what a hook has decided. The zero value decides nothing.
type Answer struct {
	Close  bool   // refuse, or close
	Source string // URL of the media, for NotFound; may hold credentials
	Reason string // for people; may be empty
}

// Ask posts body and returns what the hook decides: with 403, or with 200,
// code 0 and close: true, it refuses. Anything else that is no answer of the
// form {"code": 0, …} with 200 is an error, which the caller logs.
func (c *Client) Ask(ctx context.Context, body any, log *slog.Logger) (Answer, error) {
	reply, err := c.Post(ctx, "", body)
	if errors.Is(ctx.Err(), context.Canceled) {
		return Answer{}, ctx.Err()
	}
	var a Answer
	if err == nil || reply.Code == forbidden {
		a, err = parse(reply)
	}
	if c.note(err) && err == nil {
		log.Info("a hook works again", "hook", c.Status().URL)
	}
	return a, err
}

const (
	forbidden = 403
	okay      = 200
	shown     = 48 // bytes of an answer that makes no sense
)

// parse reads an answer. Unknown fields are not looked at.
func parse(r Reply) (Answer, error) {
	var fields struct {
		Code   json.RawMessage `json:"code"`
		Close  json.RawMessage `json:"close"`
		Source json.RawMessage `json:"source"`
		Msg    json.RawMessage `json:"msg"`
	}
	err := json.Unmarshal(r.Body, &fields)
	msg, _ := text(fields.Msg)
	a := Answer{Reason: unquoted(msg, maxReason)} // it is shown to anybody
	switch {
	case r.Code == forbidden:
		return Answer{Close: true, Reason: a.Reason}, nil
	case r.Code != okay:
		return Answer{}, statusError(r.Code)
	case err != nil:
		return Answer{}, fmt.Errorf("the answer is no JSON object: %s", excerpt(r.Body))
	case fields.Code == nil:
		return Answer{}, errors.New("the answer has no code")
	}
	code, err := strconv.ParseInt(string(fields.Code), 10, 64)
	if err != nil {
		return Answer{}, errors.New("the answer's code is no integer")
	}
	if code != 0 {
		return Answer{}, fmt.Errorf("the answer's code is %d", code)
	}
	a.Close = string(fields.Close) == "true"
	var ok bool
	if a.Source, ok = text(fields.Source); !ok || len(a.Source) > maxSource {
		return Answer{}, fmt.Errorf("the answer's source is no text of at most %d bytes", maxSource)
	}
	return a, nil
}

// Bounds of texts, in bytes.
const (
	maxReason = 200
	maxSource = 2048
)

// text returns a JSON string; nothing and null are an empty one.
func text(raw json.RawMessage) (s string, ok bool) {
	return s, raw == nil || json.Unmarshal(raw, &s) == nil
}

// excerpt shows the first bytes of an answer that makes no sense.
func excerpt(body []byte) string {
	return fmt.Sprintf("%q", unquoted(string(body[:min(len(body), shown)]), shown))
}

// statusError is the status of an answer that says nothing else.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("the hook answers %d", int(s)) }
