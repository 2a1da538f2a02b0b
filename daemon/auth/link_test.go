package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"camrelay/media"
	"camrelay/media/hub"
)

// linkOf is a link that a user has made, good for ten minutes.
func linkOf(t *testing.T, a *Access, c Credentials, cameras ...string) string {
	t.Helper()
	who, err := a.Authenticate(c)
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.NewLink(who, cameras, time.Now().Add(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// opens tells for which cameras a link lets in.
func opens(a *Access, text string) string {
	var all []string
	for _, camera := range []string{"gate", "yard"} {
		if _, err := a.View(hub.Request{Path: camera, Token: text}); err == nil {
			all = append(all, camera)
		}
	}
	return strings.Join(all, " ")
}

func TestLinks(t *testing.T) {
	alice, bob := Credentials{User: "alice", Password: "wonderland"}, Credentials{Token: "token-bob"}
	a := newAccess(t, people())
	for _, row := range []struct {
		name, link, opens string
	}{
		{"of alice, for all", linkOf(t, a, alice), "gate"},
		{"of alice, for her camera", linkOf(t, a, alice, "gate"), "gate"},
		{"of bob, for all", linkOf(t, a, bob), "gate yard"},
		{"of bob, for one", linkOf(t, a, bob, "yard"), "yard"},
	} {
		if got := opens(a, row.link); got != row.opens {
			t.Errorf("%s: opens %q, want %q", row.name, got, row.opens)
		}
		p, err := a.View(hub.Request{Token: row.link})
		if err != nil || p.May(Read) || p.Anonymous() {
			t.Errorf("%s: %+v, %v", row.name, p, err)
		}
		for name, c := range map[string]Credentials{
			"a token": {Token: row.link}, "a password": {User: "bob", Password: row.link},
		} {
			if _, err := a.Enter(c, true); !errors.Is(err, hub.ErrDenied) {
				t.Errorf("%s: the API takes it for %s: %v", row.name, name, err)
			}
		}
		if _, err := a.View(hub.Request{Path: "gate", Query: map[string][]string{"token": {row.link}}}); err == nil {
			t.Errorf("%s: is taken from a query", row.name)
		}
		for i := 1; i < len(row.link); i += 7 { // every part of it is signed
			b := []byte(row.link)
			b[i] = "AB"[b2i(b[i] == 'A')]
			if got := opens(a, string(b)); got != "" {
				t.Errorf("%s, changed at %d: opens %q", row.name, i, got)
			}
		}
		if got := opens(newAccess(t, people()), row.link); got != "" {
			t.Errorf("%s: opens %q on another box", row.name, got)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestWhoMakesNoLinks(t *testing.T) {
	a := newAccess(t, people())
	alice, err := a.Authenticate(Credentials{User: "alice", Password: "wonderland"})
	if err != nil {
		t.Fatal(err)
	}
	linked, err := a.View(hub.Request{Token: linkOf(t, a, Credentials{User: "alice", Password: "wonderland"})})
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Minute)
	for name, row := range map[string]struct {
		who     Principal
		cameras []string
		want    error
	}{
		"nobody":                          {Principal{Role: RoleAdmin, all: true}, nil, ErrNoLink},
		"who came by a link":              {linked, nil, ErrNoLink},
		"for what one may not see":        {alice, []string{"gate", "yard"}, hub.ErrForbidden},
		"for more cameras than there are": {alice, slices.Repeat([]string{"gate"}, maxLinked+1), hub.ErrForbidden},
	} {
		if text, err := a.NewLink(row.who, row.cameras, soon); !errors.Is(err, row.want) || text != "" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestLinksEnd with their time, and with what they were made of.
func TestLinksEnd(t *testing.T) {
	now := time.Now()
	for _, row := range []struct {
		name  string
		by    Credentials
		until time.Duration
		edit  func(*Rules)
		opens bool
	}{
		{"as long as may be", Credentials{Token: "token-bob"}, MaxLink, nil, true},
		{"longer", Credentials{Token: "token-bob"}, MaxLink + 2*time.Minute, nil, false},
		{"a second ago", Credentials{Token: "token-bob"}, -time.Second, nil, false},
		{"another user is gone", Credentials{Token: "token-bob"}, time.Minute, func(r *Rules) {
			r.Users = r.Users[1:]
		}, true},
		{"its user is gone", Credentials{Token: "token-bob"}, time.Minute, func(r *Rules) { r.Users = r.Users[:1] }, false},
		{"its token is gone", Credentials{Token: "token-bob"}, time.Minute, func(r *Rules) {
			r.Users[1].TokenHashes = nil
		}, false},
		{"the password of its user is another", Credentials{User: "bob", Password: "builder"}, time.Minute, func(r *Rules) {
			r.Users[1].PasswordHash = cheap("destroyer")
		}, false},
		{"a token is added", Credentials{User: "bob", Password: "builder"}, time.Minute, func(r *Rules) {
			r.Users[1].TokenHashes = append(r.Users[1].TokenHashes, tokenHash("new"))
		}, true},
		{"its user may not see that camera any more", Credentials{Token: "token-bob"}, time.Minute, func(r *Rules) {
			r.Users[1].Cameras = []string{"yard"}
		}, false},
	} {
		a := newAccess(t, people())
		who, err := a.Authenticate(row.by)
		if err != nil {
			t.Fatal(err)
		}
		text, err := a.NewLink(who, []string{"gate"}, now.Add(row.until))
		if err != nil {
			t.Fatal(err)
		}
		if row.edit != nil {
			rules := people()
			row.edit(&rules)
			if _, err := a.Set(rules); err != nil {
				t.Fatal(err)
			}
		}
		if got := opens(a, text) != ""; got != row.opens {
			t.Errorf("%s: opens %v", row.name, got)
		}
	}
}

// FuzzLink reads links that are signed and such that are not: none lets in but
// those that were made, and reading gives back what was written.
func FuzzLink(f *testing.F) {
	for _, seed := range []string{"", "~", "~AAAA", "gate", "\x00\x04gate", strings.Repeat("\xff", 40)} {
		f.Add(seed, "gate", int64(60))
	}
	key := [sha256.Size]byte{1}
	f.Fuzz(func(t *testing.T, text, camera string, seconds int64) {
		a := New(slog.New(slog.DiscardHandler))
		a.KeepLinks(key)
		if _, err := a.Set(Rules{Users: []User{
			{Name: "bob", TokenHashes: []media.Secret{tokenHash("bob")}, Role: RoleOperator},
		}}); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1e9, 0)
		if _, ok := a.LinkedUntil(text, now); ok {
			t.Errorf("%q lets in", text)
		}
		body := []byte(text)
		signed := linkMark + base64.RawURLEncoding.EncodeToString(append(body, a.linkMAC(body)...))
		if l, ok := a.readLink(signed); ok && (l.user == "" || len(l.user) > len(text)) {
			t.Errorf("%q is read as %+v", text, l)
		}
		who, err := a.Authenticate(Credentials{Token: "token-bob"})
		if err != nil {
			t.Fatal(err)
		}
		if len(camera) > maxName {
			return
		}
		until := now.Add(time.Duration(seconds%7200) * time.Second)
		made, err := a.NewLink(who, []string{camera}, until)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := a.LinkedUntil(made, now)
		if want := until.After(now) && until.Sub(now) <= MaxLink+time.Minute; ok != want || ok && !got.Equal(until) {
			t.Errorf("until %v: good %v until %v", until, ok, got)
		}
		if l, ok := a.readLink(made); !ok || l.user != "bob" || !slices.Equal(l.cameras, []string{camera}) {
			t.Errorf("%q is read as %+v", camera, l)
		}
	})
}
