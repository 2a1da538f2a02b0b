package httpdoor

import (
	"cmp"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"camrelay/media/accept"
	"camrelay/media/hub"
)

// Answer is how a request is refused.
type Answer struct {
	Status int
	Text   string
	Retry  time.Duration // when to try again, whole seconds; 0: not worth while
}

// AnswerTo returns the answer that an error stands for: one of package hub's,
// of a file that is not there, or of a place that is not free. Any other is
// something that passes. An error that tells after which time to try again is that
// somebody has asked too often. What is said is the reason that the error has for
// viewers. Streams that are not there and those that are switched off cannot be
// told apart.
func AnswerTo(err error) Answer {
	a := Answer{Status: http.StatusServiceUnavailable, Text: cmp.Or(hub.Reason(err), hub.ErrUnavailable.Error())}
	later, isLater := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	switch {
	case isLater: // whoever it is has asked too often
		a = Answer{http.StatusTooManyRequests, "too many requests, try again later", later.RetryAfter() + time.Second - 1}
	case errors.Is(err, hub.ErrNotFound):
		a.Status = http.StatusNotFound
	case errors.Is(err, os.ErrNotExist):
		a = Answer{Status: http.StatusNotFound, Text: hub.ErrNotFound.Error()}
	case errors.Is(err, hub.ErrDenied):
		a.Status = http.StatusUnauthorized
	case errors.Is(err, hub.ErrForbidden):
		a.Status = http.StatusForbidden
	case errors.Is(err, accept.ErrFull), errors.Is(err, accept.ErrFromOne):
		a.Text, a.Retry = err.Error(), 10*time.Second
	default:
		a.Retry = 2 * time.Second
	}
	return a
}

// Write sends the answer.
func (a Answer) Write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	if a.Retry > 0 {
		head.Set("Retry-After", strconv.Itoa(int(a.Retry.Seconds())))
	}
	if a.Status == http.StatusUnauthorized {
		head.Set("WWW-Authenticate", `Basic realm="camrelay", charset="UTF-8"`)
	}
	http.Error(w, a.Text, a.Status)
}

// Unknown answers a request for what is no output of anybody's, whatever it is
// asked of, in words that tell nothing of any stream.
func Unknown(w http.ResponseWriter, text string) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	Answer{Status: http.StatusNotFound, Text: text}.Write(w)
}
