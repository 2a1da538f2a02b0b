package rtmp

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"camrelay/media"
	"camrelay/media/mediatest"
)

// guarded is a server that lets ann in with her password, by a challenge of
// either kind. It passes the command objects that it has seen to seen.
func guarded(mod string, seen func(app string)) func(peer) {
	const salt, challenge, opaque, nonce = "c2FsdA==", "Y2hhbA==", "b3BhcQ==", "bm9uY2U="
	return func(p peer) {
		p.foreign = true
		o, err := p.connect()
		if err != nil {
			return
		}
		app, _ := o.Get("app").(string)
		seen(app)
		name, query, _ := strings.Cut(app, "?")
		given := parameters(query)
		reject := "[ AccessManager.Reject ] : [ authmod=" + mod + " ] : "
		why := ""
		switch {
		case given["authmod"] != mod:
			why = "[ code=403 need auth; authmod=" + mod + " ]"
		case given["user"] != "ann":
			why = reject + "?reason=nosuchuser&opaque=" + opaque
		case given["response"] == "" && mod == "adobe":
			why = reject + "?reason=needauth&user=ann&salt=" + salt + "&challenge=" + challenge + "&opaque=" + opaque
		case given["response"] == "":
			why = reject + "?reason=needauth&user=ann&nonce=" + nonce
		case mod == "adobe" && given["response"] != wantAdobe("pa&ss", salt, opaque, given["challenge"]),
			mod == "llnw" && given["response"] != wantLLNW("pa&ss", name, nonce, given["cnonce"], given["nc"]):
			why = reject + "?reason=authfailed&opaque=" + opaque
		}
		if why != "" {
			_ = p.say(0, "_error", 1.0, nil, info("error", "NetConnection.Connect.Rejected", why))
			return
		}
		if p.welcome(nil) == nil {
			for err == nil {
				_, err = p.next()
			}
		}
	}
}

func wantAdobe(password, salt, opaque, theirs string) string {
	inner := md5.Sum([]byte("ann" + salt + password))
	outer := md5.Sum([]byte(base64.StdEncoding.EncodeToString(inner[:]) + opaque + theirs))
	return base64.StdEncoding.EncodeToString(outer[:])
}

func wantLLNW(password, app, nonce, theirs, count string) string {
	digest := func(s string) string {
		h := md5.Sum([]byte(s))
		return hex.EncodeToString(h[:])
	}
	who, what := digest("ann:live:"+password), digest("publish:/"+app+"/_definst_")
	return digest(fmt.Sprintf("%s:%s:%s:%s:auth:%s", who, nonce, count, theirs, what))
}

// TestAServerThatChallenges lets FFmpeg in first, so that the server is known to
// ask for what others give.
func TestAServerThatChallenges(t *testing.T) {
	clip := mediatest.MakeClip(t, mediatest.H264AAC)
	for _, mod := range []string{"adobe", "llnw"} {
		t.Run(mod+", FFmpeg", func(t *testing.T) {
			apps := 0
			address := serve(t, guarded(mod, func(string) { apps++ }))
			if text, err := output(t, "ffmpeg", "-nostdin", "-v", "error", "-i", clip.File, "-t", "1", "-c", "copy",
				"-f", "flv", "rtmp://ann:pa&ss@"+address+"/app/key"); err != nil || apps != 3 {
				t.Errorf("%v after %d connections: %s", err, apps, text)
			}
		})
		for name, tc := range map[string]struct {
			user string
			spec Spec
			text string // of the error; empty: it publishes
		}{
			"user and password of the spec": {"", Spec{User: "ann", Password: "pa&ss"}, ""},
			"user and password of the URL":  {"ann:pa%26ss@", Spec{}, ""},
			"a wrong password":              {"ann:wrong@", Spec{}, "the server refuses the password"},
			"a wrong user":                  {"bob:pa%26ss@", Spec{}, "does not know the user"},
			"no user":                       {"", Spec{}, "wants a user and a password"},
		} {
			t.Run(mod+", "+name, func(t *testing.T) {
				address := serve(t, guarded(mod, func(string) {}))
				tc.spec.URL = "rtmp://" + tc.user + address + "/app/key"
				r := push(t, tc.spec, play(t, clip, true))
				if tc.text == "" {
					r.await(t)
					r.stop(errStop)
				}
				err := r.ended(t)
				switch {
				case tc.text == "" && !errors.Is(err, errStop):
					t.Errorf("ended with %v", err)
				case tc.text != "" && (!strings.Contains(err.Error(), tc.text) || media.ClassOf(err) != media.ClassCredentials):
					t.Errorf("ended with %v, class %v", err, media.ClassOf(err))
				}
				if strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "pa&ss") {
					t.Errorf("%v shows the password", err)
				}
			})
		}
	}
}

func TestAServerThatChallengesForEver(t *testing.T) {
	n := 0
	address := serve(t, func(p peer) {
		n++
		if _, err := p.connect(); err == nil {
			_ = p.say(0, "_error", 1.0, nil, info("error", "", "authmod=adobe code=403 need auth"))
			_, _ = io.Copy(io.Discard, p.r)
		}
	})
	s := play(t, mediatest.MakeClip(t, mediatest.H264), true)
	err := push(t, Spec{URL: "rtmp://ann:x@" + address + "/app/key"}, s).ended(t)
	if media.ClassOf(err) != media.ClassCredentials || n > 1+maxTries {
		t.Errorf("ended with %v after %d connections", err, n)
	}
}
