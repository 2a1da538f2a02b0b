package srt

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"camrelay/media/hub"
)

func TestParseStreamID(t *testing.T) {
	for id, want := range map[string]hub.Request{
		"gate":                                  {Path: "gate"},
		"live/gate":                             {Path: "gate"},
		"/live/gate/":                           {Path: "gate"},
		"live":                                  {Path: "live"},
		"yard/gate":                             {Path: "yard/gate"},
		"gate?token=a:b":                        {Path: "gate", Query: url.Values{"token": {"a:b"}}},
		"read:gate":                             {Path: "gate"},
		"read:live/gate":                        {Path: "gate"},
		"read:gate:token=x":                     {Path: "gate", Query: url.Values{"token": {"x"}}},
		"read:gate:joe:pw":                      {Path: "gate", User: "joe", Password: "pw"},
		"read:gate:joe:pw:a=1":                  {Path: "gate", User: "joe", Password: "pw", Query: url.Values{"a": {"1"}}},
		"#!::r=gate":                            {Path: "gate"},
		"#!::m=request,r=live/gate":             {Path: "gate"},
		"#!::r=gate,m=request,u=joe,s=p=w":      {Path: "gate", User: "joe", Password: "p=w"},
		"#!::r=gate,token=t,h=host,t=stream":    {Path: "gate", Token: "t"},
		"#!::r=gate?a=1,bmd_name=Studio":        {Path: "gate", Query: url.Values{"a": {"1"}, "bmd_name": {"Studio"}}},
		"#!::r=Caf%C3%A9 am Tor,m=request,x=%2": {Path: "Caf%C3%A9 am Tor", Query: url.Values{"x": {"%2"}}},
	} {
		got, err := parseStreamID(id)
		want.Protocol = "srt"
		if want.Query == nil {
			want.Query = url.Values{}
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", id, got, err, want)
		}
	}
}

func TestStreamIDsThatAskForNothing(t *testing.T) {
	for id, want := range map[string]error{
		"": errSyntax, "/": errSyntax, "live/": errSyntax, "?token=x": errSyntax, "#!::": errSyntax, "#!::r": errSyntax,
		"#!::u=joe": errSyntax, "#!:{r=gate}": errSyntax, "watch:gate": errSyntax, "read:": errSyntax,
		"read:gate:a:b:c:d": errSyntax, "gate?%zz": errSyntax, "read:gate:%zz": errSyntax,
		"publish:gate": errPublish, "publish:gate:joe:pw": errPublish, "#!::r=gate,m=publish": errPublish,
		"#!::r=gate,m=bidirectional": errPublish, "#!::r=gate,t=file": errType, "#!::t=auth,u=joe": errType,
	} {
		if got, err := parseStreamID(id); !errors.Is(err, want) {
			t.Errorf("%s: got %+v, %v, want %v", id, got, err, want)
		}
	}
}

func FuzzParseStreamID(f *testing.F) {
	for _, id := range []string{
		"gate", "live/gate?token=x", "read:gate:joe:pw:a=1", "#!::r=live/gate,m=request,u=joe,s=pw,x=1", "#!:{",
		"publish:gate",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		req, err := parseStreamID(id)
		if reason := reasonFor(err); (err == nil) != (reason == 0) || reason == rejectInternal {
			t.Errorf("%q: %v is reason %d", id, err, reason)
		}
		if err != nil {
			return
		}
		if req.Path == "" || strings.Trim(req.Path, "/") != req.Path || req.Protocol != "srt" || req.Query == nil {
			t.Errorf("%q: %+v", id, req)
		}
		if len(req.Path)+len(req.User)+len(req.Password)+len(req.Token) > len(id) {
			t.Errorf("%q: more than was asked: %+v", id, req)
		}
	})
}
