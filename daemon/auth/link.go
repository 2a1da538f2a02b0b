package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"camrelay/media/hub"
)

// Bounds of links.
const (
	MaxLink     = time.Hour // a link is good for
	maxLinked   = 64        // cameras of one link
	linkMACSize = 16
	maxName     = 128 // bytes of a camera's
	maxLinkText = 16 << 10
)

// linkMark begins the text of every link. No token and no name of a camera does.
const linkMark = "~"

// IsLink tells whether a part of a path, or a token, has the form of a link.
func IsLink(text string) bool { return strings.HasPrefix(text, linkMark) && len(text) <= maxLinkText }

// credentialID stands for a password or a token of a user: what it has made ends with it.
type credentialID [8]byte

// link is what a link says. It is a user's, for what that user may see.
type link struct {
	user    string
	by      credentialID
	cameras []string // none: all that the user may see
	until   time.Time
}

// ErrNoLink is that somebody may not make links.
var ErrNoLink = errors.New("links are made by users of the configuration, with a password or a token")

// KeepLinks makes links last over restarts: key is a secret of this box that
// signs them, the same each time. It is called before links are made or used.
func (a *Access) KeepLinks(key [sha256.Size]byte) { a.linkKey = key }

// NewLink returns a link by which whoever has it may watch cameras, all that who
// may see if there are none, until that time, at most for MaxLink. It ends before
// when the user, the right, or the password or token that it was made with does.
// The error is ErrNoLink, or hub.ErrForbidden for a camera that who may not see.
func (a *Access) NewLink(who Principal, cameras []string, until time.Time) (string, error) {
	switch {
	case who.Anonymous() || who.by == credentialID{}:
		return "", ErrNoLink
	case len(cameras) > maxLinked:
		return "", hub.ErrForbidden
	case slices.ContainsFunc(cameras, func(c string) bool { return len(c) > maxName || !who.MayView(c) }):
		return "", hub.ErrForbidden
	}
	body := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	body = append(body, who.by[:]...)
	for _, s := range append([]string{who.Name}, cameras...) {
		body = binary.BigEndian.AppendUint16(body, uint16(len(s)))
		body = append(body, s...)
	}
	return linkMark + base64.RawURLEncoding.EncodeToString(append(body, a.linkMAC(body)...)), nil
}

func (a *Access) linkMAC(body []byte) []byte {
	h := hmac.New(sha256.New, a.linkKey[:])
	h.Write([]byte("link\x00")) // it never fails
	h.Write(body)
	return h.Sum(nil)[:linkMACSize]
}

// readLink reads a link that this box has signed.
func (a *Access) readLink(text string) (l link, ok bool) {
	if !IsLink(text) {
		return link{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[len(linkMark):])
	if err != nil || len(raw) < linkMACSize {
		return link{}, false
	}
	body, mac := raw[:len(raw)-linkMACSize], raw[len(raw)-linkMACSize:]
	if !hmac.Equal(mac, a.linkMAC(body)) {
		return link{}, false
	}
	return parseLink(body)
}

// parseLink reads what is signed.
func parseLink(body []byte) (l link, ok bool) {
	const head = 8 + len(credentialID{})
	if len(body) < head {
		return link{}, false
	}
	l.until = time.Unix(int64(binary.BigEndian.Uint64(body)), 0)
	l.by = credentialID(body[8:head])
	var all []string
	for rest := body[head:]; len(rest) > 0; {
		if len(rest) < 2 {
			return link{}, false
		}
		n := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; len(rest) < n {
			return link{}, false
		}
		all = append(all, string(rest[:n]))
		rest = rest[n:]
	}
	if len(all) == 0 || all[0] == "" {
		return link{}, false
	}
	l.user, l.cameras = all[0], all[1:]
	return l, true
}

// LinkedUntil returns until when a link lets in, and whether it does at now.
func (a *Access) LinkedUntil(text string, now time.Time) (until time.Time, ok bool) {
	l, ok := a.readLink(text)
	if !ok || !now.Before(l.until) || l.until.Sub(now) > MaxLink+time.Minute {
		return time.Time{}, false
	}
	acc := a.book.Load().users[l.user]
	return l.until, acc != nil && acc.ids[l.by]
}

// byLink tells who has come by a link: one who may see some of what its user
// may, and nothing else.
func (a *Access) byLink(text string, now time.Time) (Principal, error) {
	if _, ok := a.LinkedUntil(text, now); !ok {
		return Principal{}, hub.ErrDenied
	}
	l, _ := a.readLink(text)
	acc := a.book.Load().users[l.user]
	if acc == nil {
		return Principal{}, hub.ErrDenied
	}
	if len(l.cameras) == 0 {
		return Principal{Name: l.user, all: acc.all, cameras: acc.cameras}, nil
	}
	p := Principal{Name: l.user, cameras: make(map[string]bool, len(l.cameras))}
	for _, c := range l.cameras {
		p.cameras[c] = acc.MayView(c)
	}
	return p, nil
}
