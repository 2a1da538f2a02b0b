package rtmp

import (
	"errors"
	"fmt"
	"strings"

	"camrelay/media"
	"camrelay/media/flv"
)

// status is what a server tells in an information object (§7.2.2).
type status struct {
	level, code, description string
}

// statusOf returns the first information object among the values of a command.
func statusOf(vs []any) (st status, found bool) {
	for _, v := range vs {
		o, ok := v.(flv.Object)
		if !ok {
			continue
		}
		if st.code, ok = o.Get("code").(string); !ok {
			continue
		}
		st.level, _ = o.Get("level").(string)
		st.description, _ = o.Get("description").(string)
		return st, true
	}
	return status{}, false
}

// words says in words what codes mean.
var words = map[string]struct { //nolint:gochecknoglobals // a table
	class media.Class
	text  string
}{
	"NetStream.Publish.BadName":         {media.ClassBusy, "the stream key is already in use or refused"},
	"NetStream.Publish.BadConnection":   {media.ClassBusy, "the stream key is already in use or refused"},
	"NetStream.Publish.Denied":          {media.ClassCredentials, "publishing is denied"},
	"NetStream.Publish.Unauthorized":    {media.ClassCredentials, "the stream key is refused"},
	"NetStream.Publish.Rejected":        {media.ClassCredentials, "publishing is rejected"},
	"NetStream.Publish.Failed":          {media.ClassNetwork, "publishing failed"},
	"NetStream.Unpublish.Success":       {media.ClassNetwork, "the server ended the publication"},
	"NetConnection.Connect.Rejected":    {media.ClassCredentials, "the connection is rejected"},
	"NetConnection.Connect.InvalidApp":  {media.ClassUnsupported, "the server has no such application"},
	"NetConnection.Connect.AppShutdown": {media.ClassNetwork, "the application is shutting down"},
	"NetConnection.Connect.Failed":      {media.ClassNetwork, "the connection failed"},
	"NetConnection.Connect.Closed":      {media.ClassNetwork, "the server closes the connection"},
}

// refusal returns the error that a status means, nil if it is none.
func (t target) refusal(st status) error {
	w, known := words[st.code]
	if !known {
		if st.level != "error" {
			return nil
		}
		w.text = "the server refuses"
	}
	if w.class == media.ClassNetwork && secretRefused(st.description) {
		w.class = media.ClassCredentials
	}
	return media.Fail(w.class, errors.New(w.text+t.quoted(st)))
}

// secretRefused tells whether a description speaks of who may publish.
func secretRefused(s string) bool {
	s = strings.ToLower(s)
	for _, sign := range []string{
		"authmod", "unauthorized", "forbidden", "denied", "permission", "authentication", "invalid key",
	} {
		if strings.Contains(s, sign) {
			return true
		}
	}
	return false
}

// quoted returns the server's own words in brackets.
func (t target) quoted(st status) string {
	code, description := t.shown(st.code), t.shown(st.description)
	switch {
	case code == "" && description == "":
		return ""
	case description == "":
		return fmt.Sprintf(" (%s)", code)
	}
	return fmt.Sprintf(" (%s: %s)", code, description)
}

// enhanced tells whether a server's answer to connect announces H.265 by
// Enhanced RTMP.
func enhanced(vs []any) bool {
	for _, v := range vs {
		o, ok := v.(flv.Object)
		if !ok {
			continue
		}
		list, _ := o.Get("fourCcList").([]any)
		for _, f := range list {
			if f == "hvc1" || f == "*" {
				return true
			}
		}
		m, _ := o.Get("videoFourCcInfoMap").(flv.Object)
		if m.Get("hvc1") != nil || m.Get("*") != nil {
			return true
		}
	}
	return false
}
