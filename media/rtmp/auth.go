package rtmp

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"camrelay/media"
)

// challengeError is a server's refusal of an application that wants to know who
// asks: the connection ends, and the next one brings the answer with its
// application's name. No specification tells; this is how Flash Media Live
// Encoder, FFmpeg and GStreamer do it.
//
//	connect app                                 → authmod=adobe … code=403 need auth
//	connect app?authmod=adobe&user=u            → authmod=adobe … ?reason=needauth&user=u&salt=s&challenge=c&opaque=o
//	connect app?authmod=adobe&user=u&challenge=C&response=R&opaque=o → success
type challengeError struct {
	description string // as the server wrote it
	refusal     error  // what it means where nothing answers it
}

func (c *challengeError) Error() string { return c.refusal.Error() }
func (c *challengeError) Unwrap() error { return c.refusal }

// challenged returns the challenge in the description of a refused connect, nil
// if there is none.
func challenged(description string, refusal error) error {
	if strings.Contains(description, "authmod=adobe") || strings.Contains(description, "authmod=llnw") {
		return &challengeError{description, refusal}
	}
	return refusal
}

// maxTries is how many connections an answer takes: one that learns that a user
// is wanted, one that asks for the challenge, one that answers it.
const maxTries = 2

// answered returns the target with the answer to a challenge, or why there is none.
func (t target) answered(c *challengeError) (target, error) {
	refuse := func(text string) (target, error) {
		return target{}, media.Fail(media.ClassCredentials, errors.New(text))
	}
	d := c.description
	_, mod, _ := strings.Cut(d, "authmod=")
	mod, _, _ = strings.Cut(mod, " ")
	mod = strings.TrimRight(mod, "]")
	switch {
	case t.user == "" || t.password == "":
		return refuse("the server wants a user and a password" + t.quoted(status{description: d}))
	case strings.Contains(d, "?reason=authfailed"):
		return refuse("the server refuses the password")
	case strings.Contains(d, "?reason=nosuchuser"):
		return refuse("the server does not know the user")
	case t.tried >= maxTries:
		return refuse("the server refuses the user and the password")
	}
	t.tried++
	if _, query, ok := strings.Cut(d, "?reason=needauth"); ok {
		query, _, _ = strings.Cut(query, " ")
		t.tried = maxTries
		t.auth = t.response(mod, parameters(query))
		return t, nil
	}
	t.auth = "?authmod=" + mod + "&user=" + t.user
	return t, nil
}

// parameters reads &name=value pairs, in which nothing is escaped: the values
// are base64.
func parameters(query string) map[string]string {
	values := make(map[string]string)
	for kv := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(kv, "=")
		values[k] = v
	}
	return values
}

// response returns the answer to a challenge as it follows the application's name.
func (t target) response(mod string, p map[string]string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	nonce := hex.EncodeToString(b[:])
	user, password := t.user, t.password.Reveal()
	if mod == "llnw" {
		return "?authmod=llnw&user=" + user + "&nonce=" + p["nonce"] + "&cnonce=" + nonce + "&nc=" + nonceCount +
			"&response=" + llnwResponse(user, password, t.app, p["nonce"], nonce)
	}
	answer := "?authmod=adobe&user=" + user + "&challenge=" + nonce +
		"&response=" + adobeResponse(user, password, p, nonce)
	if o := p["opaque"]; o != "" {
		answer += "&opaque=" + o
	}
	return answer
}

func adobeResponse(user, password string, p map[string]string, nonce string) string {
	sum := func(s string) string {
		h := md5.Sum([]byte(s))
		return base64.StdEncoding.EncodeToString(h[:])
	}
	theirs := p["opaque"]
	if theirs == "" {
		theirs = p["challenge"]
	}
	return sum(sum(user+p["salt"]+password) + theirs + nonce)
}

const nonceCount = "00000001"

// llnwResponse is a digest as in HTTP (RFC 2617 §3.2.2.1), over the application.
func llnwResponse(user, password, app, theirs, nonce string) string {
	sum := func(parts ...string) string {
		h := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h[:])
	}
	if !strings.Contains(app, "/") {
		app += "/_definst_"
	}
	return sum(sum(user, "live", password), theirs, nonceCount, nonce, "auth", sum("publish", "/"+app))
}
