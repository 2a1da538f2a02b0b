package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"

	"camrelay/media"
	"camrelay/media/hub"
)

// cheap is a hash of a password that costs next to nothing.
func cheap(password string) media.Secret {
	salt := []byte("saltsalt" + password)[:8]
	b64 := base64.RawStdEncoding.EncodeToString
	return media.Secret("$argon2id$v=19$m=8,t=1,p=1$" + b64(salt) + "$" +
		b64(argon2.IDKey([]byte(password), salt, 1, 8, 1, 16)))
}

// tokenHash is the SHA-256 of "token-" and the name.
func tokenHash(name string) media.Secret { return media.Secret(hexSum("token-" + name)) }

// people are users of all roles.
func people() Rules {
	return Rules{Users: []User{
		{Name: "alice", PasswordHash: cheap("wonderland"), Role: RoleViewer, Cameras: []string{"gate"}},
		{Name: "bob", PasswordHash: cheap("builder"), TokenHashes: []media.Secret{tokenHash("bob")}, Role: RoleOperator},
		{
			Name: "wall", TokenHashes: []media.Secret{tokenHash("wall"), tokenHash("two")}, Role: RoleViewer,
			Cameras: []string{},
		},
		{Name: "root", PasswordHash: cheap("rooted"), Role: RoleAdmin, Cameras: []string{"gate"}},
	}}
}

func newAccess(t *testing.T, r Rules) *Access {
	t.Helper()
	a := New(slog.New(slog.DiscardHandler))
	if _, err := a.Set(r); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhoIsLetIn(t *testing.T) {
	rows := []struct {
		name string
		c    Credentials
		want string // name, empty: refused
	}{
		{"a password", Credentials{User: "alice", Password: "wonderland"}, "alice"},
		{"nothing", Credentials{}, ""},
		{"a wrong password", Credentials{User: "alice", Password: "wonderlan"}, ""},
		{"somebody else's password", Credentials{User: "alice", Password: "builder"}, ""},
		{"a name alone", Credentials{User: "alice"}, ""},
		{"a password alone", Credentials{Password: "wonderland"}, ""},
		{"an unknown name", Credentials{User: "mallory", Password: "wonderland"}, ""},
		{"a name in other letters", Credentials{User: "Alice", Password: "wonderland"}, ""},
		{"a token", Credentials{Token: "token-bob"}, "bob"},
		{"the second token", Credentials{Token: "token-two"}, "wall"},
		{"a token with its user", Credentials{User: "wall", Password: "token-wall"}, "wall"},
		{"a token for a password", Credentials{Password: "token-wall"}, "wall"},
		{"a token with another user", Credentials{User: "alice", Password: "token-wall"}, ""},
		{"a wrong token", Credentials{Token: "token-alice"}, ""},
		{"a hash for a token", Credentials{Token: tokenHash("bob").Reveal()}, ""},
		{"a hash for a password", Credentials{User: "alice", Password: cheap("wonderland").Reveal()}, ""},
		{"a password for a user who has none", Credentials{User: "wall", Password: "wonderland"}, ""},
		{"a password of a megabyte", Credentials{User: "alice", Password: strings.Repeat("x", 1<<20)}, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := newAccess(t, people())
			for range 2 { // once by argon2id, once from memory
				p, err := a.Authenticate(row.c)
				if p.Name != row.want || (err == nil) != (row.want != "") || err != nil && !errors.Is(err, hub.ErrDenied) {
					t.Errorf("%+v, %v", p, err)
				}
				if row.want == "" && (p.May(Read) || p.MayView("gate")) {
					t.Error("who is refused has a right")
				}
			}
		})
	}
}

// TestOneAnswerForAll: what is said of a wrong name is what is said of a wrong
// password, also once there have been too many.
func TestOneAnswerForAll(t *testing.T) {
	a := newAccess(t, people())
	for i := range 3 * freeOfUser {
		_, known := a.Authenticate(Credentials{User: "alice", Password: fmt.Sprint("guess", i), Remote: "192.0.2.1:1"})
		_, unknown := a.Authenticate(Credentials{User: "zoe", Password: fmt.Sprint("guess", i), Remote: "192.0.2.2:1"})
		_, without := a.Authenticate(Credentials{User: "wall", Password: fmt.Sprint("guess", i), Remote: "192.0.2.3:1"})
		if known.Error() != unknown.Error() || without.Error() != known.Error() {
			t.Fatalf("attempt %d: %v, %v, %v", i, known, unknown, without)
		}
	}
}

func TestRoles(t *testing.T) {
	a := newAccess(t, people())
	rows := []struct {
		user, password       string
		read, operate, admin bool
		gate, yard           bool
	}{
		{"alice", "wonderland", true, false, false, true, false},
		{"bob", "builder", true, true, false, true, true},
		{"wall", "token-wall", true, false, false, false, false},
		{"root", "rooted", true, true, true, true, true},
	}
	for _, row := range rows {
		t.Run(row.user, func(t *testing.T) {
			p, err := a.Enter(Credentials{User: row.user, Password: row.password}, false)
			if err != nil || !p.May(None) || p.May(Read) != row.read || p.May(Operate) != row.operate ||
				p.May(Admin) != row.admin || p.MayView("gate") != row.gate || p.MayView("yard") != row.yard ||
				p.Anonymous() {
				t.Errorf("%+v, %v", p, err)
			}
			if got := FromContext(NewContext(t.Context(), p)); got.Name != row.user {
				t.Errorf("from the context %+v", got)
			}
		})
	}
	if p := FromContext(t.Context()); p.May(Read) || p.MayView("gate") || !p.May(None) {
		t.Errorf("nobody may %+v", p)
	}
}

func TestNobodyButThisBoxWithoutUsers(t *testing.T) {
	a := New(slog.New(slog.DiscardHandler))
	if p, err := a.Enter(Credentials{}, true); err != nil || !p.May(Read) || p.May(Operate) || !p.MayView("gate") {
		t.Errorf("before the rules are known: %+v, %v", p, err)
	}
	a.Set(Rules{})
	for _, c := range []Credentials{{}, {User: "a", Password: "b"}} {
		if p, err := a.Enter(c, true); err != nil || !p.Anonymous() || !p.May(Admin) || !p.MayView("gate") {
			t.Errorf("on the box: %+v, %v", p, err)
		}
		if p, err := a.Enter(c, false); !errors.Is(err, hub.ErrDenied) || p.May(Read) {
			t.Errorf("from elsewhere: %+v, %v", p, err)
		}
	}
	a.Set(people())
	if p, err := a.Enter(Credentials{}, true); !errors.Is(err, hub.ErrDenied) || p.May(Read) {
		t.Errorf("on the box, with users: %+v, %v", p, err)
	}
}

func TestView(t *testing.T) {
	closed, open := newAccess(t, people()), newAccess(t, Rules{Open: true, Users: people().Users})
	rows := []struct {
		name string
		a    *Access
		req  hub.Request
		want error
	}{
		{"a user's camera", closed, hub.Request{Path: "gate", User: "alice", Password: "wonderland"}, nil},
		{"not a user's camera", closed, hub.Request{Path: "yard", User: "alice", Password: "wonderland"}, hub.ErrForbidden},
		{"no camera yet", closed, hub.Request{User: "alice", Password: "wonderland"}, nil},
		{"a token in a header", closed, hub.Request{Path: "yard", Token: "token-bob"}, nil},
		{"a token in the URL", closed, hub.Request{Path: "yard", Query: url.Values{"token": {"token-bob"}}}, nil},
		{"a wrong token in the URL", closed, hub.Request{Path: "yard", Query: url.Values{"token": {"x"}}}, hub.ErrDenied},
		{"no credentials", closed, hub.Request{Path: "gate"}, hub.ErrDenied},
		{"no credentials, open to all", open, hub.Request{Path: "gate"}, nil},
		{"wrong credentials, open to all", open, hub.Request{Path: "gate", User: "alice", Password: "x"}, nil},
		{"before the rules are known", New(slog.New(slog.DiscardHandler)), hub.Request{Path: "gate"}, hub.ErrDenied},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p, err := row.a.View(row.req)
			seen := err == nil && (row.req.Path == "" || p.MayView(row.req.Path))
			if !errors.Is(err, row.want) || seen != (row.want == nil) {
				t.Errorf("%+v, %v", p, err)
			}
			if p.Anonymous() && p.May(Read) {
				t.Error("who may only watch may use the API")
			}
		})
	}
}

func TestWhoIsSentAway(t *testing.T) {
	edit := func(f func(*Rules)) Rules {
		r := people()
		f(&r)
		return r
	}
	rows := []struct {
		name         string
		to           Rules
		user, camera string
		gone         bool
	}{
		{"nothing has changed", people(), "alice", "gate", false},
		{"the user is gone", edit(func(r *Rules) { r.Users = r.Users[1:] }), "alice", "gate", true},
		{"another user is gone", edit(func(r *Rules) { r.Users = r.Users[1:] }), "bob", "gate", false},
		{"the camera is gone", edit(func(r *Rules) { r.Users[0].Cameras = []string{"yard"} }), "alice", "gate", true},
		{"a camera more", edit(func(r *Rules) { r.Users[0].Cameras = nil }), "alice", "gate", false},
		{"another password", edit(func(r *Rules) { r.Users[0].PasswordHash = cheap("x") }), "alice", "gate", true},
		{
			"a token more", edit(func(r *Rules) { r.Users[0].TokenHashes = []media.Secret{tokenHash("x")} }),
			"alice", "gate", false,
		},
		{"a token less", edit(func(r *Rules) { r.Users[1].TokenHashes = nil }), "bob", "gate", true},
		{"another role", edit(func(r *Rules) { r.Users[1].Role = RoleViewer }), "bob", "gate", false},
		{"open to all now", Rules{Open: true}, "alice", "gate", false},
		{"nobody's viewer, closed now", people(), "", "gate", true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := newAccess(t, people())
			gone, err := a.Set(row.to)
			if err != nil || gone(row.user, row.camera) != row.gone {
				t.Errorf("gone %v, %v", gone(row.user, row.camera), err)
			}
		})
	}
}

// TestPasswordsAreComparedOnce counts calls by what they cost: of each user one
// in all, whatever the number of requests at once; and none after an edit that
// leaves the password.
func TestPasswordsAreComparedOnce(t *testing.T) {
	a := newAccess(t, people())
	c := Credentials{User: "alice", Password: "wonderland", Remote: "192.0.2.1:1"}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if _, err := a.Authenticate(c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a.Set(people())
	// A hash that no password matches: only what is remembered lets in.
	acc := a.book.Load().users["alice"]
	acc.hash.sum = bytes.Repeat([]byte{1}, len(acc.hash.sum))
	if _, err := a.Authenticate(c); err != nil {
		t.Errorf("after an edit of something else: %v", err)
	}
	a.Set(Rules{Users: []User{{Name: "alice", PasswordHash: cheap("new"), Role: RoleViewer}}})
	if _, err := a.Authenticate(c); !errors.Is(err, hub.ErrDenied) {
		t.Errorf("the old password after an edit: %v", err)
	}
}

func TestUnreadableHashesAreNamed(t *testing.T) {
	a := New(slog.New(slog.DiscardHandler))
	for _, u := range []User{
		{Name: "alice", PasswordHash: "hunter2"},
		{Name: "alice", TokenHashes: []media.Secret{"hunter2"}},
		{Name: "alice", TokenHashes: []media.Secret{tokenHash("a") + "00"}},
	} {
		_, err := a.Set(Rules{Users: []User{u}})
		if err == nil || !strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
		if _, err := a.Authenticate(Credentials{User: "alice", Password: "hunter2", Token: "hunter2"}); err == nil {
			t.Error("somebody is let in")
		}
	}
}

// TestGuessingIsSlow guesses as fast as it can for an hour of virtual time.
func TestGuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccess(t, people())
		var log bytes.Buffer
		a.log = slog.New(slog.NewTextHandler(&log, nil))
		looked, begin := 0, time.Now()
		for i := 0; time.Since(begin) < time.Hour; i++ {
			_, err := a.Authenticate(Credentials{User: "alice", Password: fmt.Sprint("hunter2", i), Remote: "192.0.2.1:99"})
			throttled, waits := errors.AsType[ThrottledError](err)
			switch {
			case !waits:
				looked++
			case throttled.After <= 0 || throttled.After > maxWait || !errors.Is(err, hub.ErrUnavailable):
				t.Fatalf("%v, after %v", err, throttled.After)
			default:
				time.Sleep(throttled.After)
			}
		}
		if looked < 20 || looked > 90 {
			t.Errorf("%d guesses were looked at", looked)
		}
		guess := Credentials{User: "alice", Password: "hunter2", Remote: "192.0.2.1:5"}
		if _, err := a.Authenticate(guess); !errors.Is(err, hub.ErrDenied) {
			t.Errorf("a guess after its wait: %v", err)
		}
		// The right password has to wait too: it would be a way to guess at what is remembered.
		_, err := a.Authenticate(Credentials{User: "alice", Password: "wonderland", Remote: "192.0.2.1:5"})
		if _, waits := errors.AsType[ThrottledError](err); !waits {
			t.Errorf("the right password: %v", err)
		}
		// Others are hardly touched, nor is alice elsewhere.
		time.Sleep(maxWaitAll)
		for _, c := range []Credentials{
			{User: "bob", Password: "builder", Remote: "192.0.2.1:99"},
			{User: "alice", Password: "wonderland", Remote: "192.0.2.9:99"},
			{Token: "token-wall", Remote: "192.0.2.1:99"},
		} {
			if _, err := a.Authenticate(c); err != nil {
				t.Errorf("%s from %s: %v", c.User, c.Remote, err)
			}
		}
		time.Sleep(maxWait)
		if _, err := a.Authenticate(Credentials{User: "alice", Password: "wonderland", Remote: "192.0.2.1:5"}); err != nil {
			t.Errorf("the right password later: %v", err)
		}
		if strings.Contains(log.String(), "hunter2") || strings.Count(log.String(), "logins fail") > 3 {
			t.Errorf("logged: %s", &log)
		}
	})
}

// TestManyNamesFromOneAddress tries a new name each time.
func TestManyNamesFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccess(t, people())
		if _, err := a.Authenticate(Credentials{User: "bob", Password: "builder", Remote: "[2001:db8::1]:1"}); err != nil {
			t.Fatal(err)
		}
		looked := 0
		for i := range 10_000 {
			_, err := a.Authenticate(Credentials{
				User: fmt.Sprint("u", i), Password: "x", Remote: fmt.Sprintf("[2001:db8::%x]:1", i%1000),
			})
			if errors.Is(err, hub.ErrDenied) {
				looked++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if looked > 50 { // 20 at once, then one in ten seconds
			t.Errorf("%d names were looked at", looked)
		}
		if _, err := a.Authenticate(Credentials{User: "bob", Password: "builder", Remote: "[2001:db8::1]:1"}); err != nil {
			t.Errorf("who was let in before: %v", err)
		}
	})
}

// TestMemoryIsBounded fails from ever new addresses.
func TestMemoryIsBounded(t *testing.T) {
	var tr throttle
	now := time.Now()
	for i := range 3 * maxClients {
		c := client{addressOf(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)), "alice"}
		now = now.Add(time.Millisecond)
		if wait, _ := tr.try(c, now); wait > 0 {
			t.Fatalf("a new address waits %v", wait)
		}
		if len(tr.known) > maxClients {
			t.Fatalf("%d clients are known", len(tr.known))
		}
	}
}
