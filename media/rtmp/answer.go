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
	tcURL                    string // of a request to reconnect
}

// statusOf returns the first information object among the values of a command,
// an empty status if there is none.
func statusOf(vs []any) (st status) {
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
		st.tcURL, _ = o.Get("tcUrl").(string)
		return st
	}
	return status{}
}

// words says in words what codes mean.
var words = map[string]struct { // a table
	class media.Class
	text  string
}{
	"NetStream.Publish.BadName":         {media.ClassBusy, "the stream key is in use or refused"},
	"NetStream.Publish.BadConnection":   {media.ClassBusy, "the stream key is in use or refused"},
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

// offered returns the codecs of Enhanced RTMP that the other side takes, as its
// command object or its answer to connect lists them.
func offered(vs []any) flv.Extras {
	var takes flv.Extras
	for _, v := range vs {
		o, ok := v.(flv.Object)
		if !ok {
			continue
		}
		list, _ := o.Get("fourCcList").([]any)
		for _, f := range list {
			name, _ := f.(string)
			takes |= extrasOf(name)
		}
		for _, m := range []string{"videoFourCcInfoMap", "audioFourCcInfoMap"} {
			m, _ := o.Get(m).(flv.Object)
			for _, p := range m {
				takes |= extrasOf(p.Name)
			}
		}
	}
	return takes
}

func extrasOf(fourCC string) flv.Extras {
	switch fourCC {
	case flv.HEVC:
		return flv.EnhancedHEVC
	case flv.Opus:
		return flv.EnhancedOpus
	case "*":
		return flv.EnhancedHEVC | flv.EnhancedOpus
	}
	return 0
}

// Bits of videoFourCcInfoMap and audioFourCcInfoMap.
const (
	canEncode  = 2.0
	canForward = 4.0
)

// capsReconnect in capsEx tells that a request to reconnect is honoured.
const capsReconnect = 1.0

// enhancements returns the properties that list codecs in a command object.
func enhancements(extras flv.Extras, can float64) flv.Object {
	var list []string
	var o flv.Object
	if extras&flv.EnhancedHEVC != 0 {
		list = append(list, flv.HEVC)
		o = append(o, flv.Property{Name: "videoFourCcInfoMap", Value: flv.Object{{Name: flv.HEVC, Value: can}}})
	}
	if extras&flv.EnhancedOpus != 0 {
		list = append(list, flv.Opus)
		o = append(o, flv.Property{Name: "audioFourCcInfoMap", Value: flv.Object{{Name: flv.Opus, Value: can}}})
	}
	if list != nil {
		o = append(o, flv.Property{Name: "fourCcList", Value: list})
	}
	return o
}
