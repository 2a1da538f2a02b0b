package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"camrelay/media"
	"camrelay/media/hub"
)

// response is what a client answers (RFC 2617 §3.2.2.1), by its own arithmetic.
func response(user, secret string, d hub.Digest) *hub.Digest {
	sum := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	if d.SHA256 {
		sum = func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	}
	d.Response = sum(sum(user+":camrelay:"+secret) + ":" + d.Nonce + ":" + sum(d.Method+":"+d.URI))
	return &d
}

// watchers have what digest needs, but for those named plain.
func watchers() []User {
	return []User{
		{
			Name: "alice", PasswordHash: cheap("wonderland"), Role: RoleViewer, Cameras: []string{"gate"},
			DigestHashes: []media.Secret{media.Secret(DigestHash("alice", "wonderland"))},
		},
		{
			Name: "wall", TokenHashes: []media.Secret{tokenHash("wall")}, Role: RoleViewer,
			DigestHashes: []media.Secret{media.Secret(DigestHash("wall", "token-wall"))},
		},
	}
}

func TestWhoIsLetInByDigest(t *testing.T) {
	asked := hub.Digest{Method: "DESCRIBE", URI: "rtsp://box:8554/gate", Nonce: "n0"}
	strong := asked
	strong.SHA256 = true
	sums := DigestHash("alice", "wonderland")
	changed := func(edit func(*hub.Digest)) *hub.Digest {
		d := response("alice", "wonderland", asked)
		edit(d)
		return d
	}
	for _, row := range []struct {
		name, user string
		digest     *hub.Digest
		want       bool
	}{
		{"MD5", "alice", response("alice", "wonderland", asked), true},
		{"SHA-256", "alice", response("alice", "wonderland", strong), true},
		{"a token for a password", "wall", response("wall", "token-wall", asked), true},
		{"a wrong password", "alice", response("alice", "rabbit", asked), false},
		{"a password of another", "wall", response("wall", "wonderland", asked), false},
		{"a user that there is not", "zoe", response("zoe", "wonderland", asked), false},
		{"a user without", "bob", response("bob", "builder", asked), false},
		{"another challenge", "alice", changed(func(d *hub.Digest) { d.Nonce = "n1" }), false},
		{"another request", "alice", changed(func(d *hub.Digest) { d.Method = "SETUP" }), false},
		{"another stream", "alice", changed(func(d *hub.Digest) { d.URI = "rtsp://box:8554/yard" }), false},
		{"the sum itself", "alice", changed(func(d *hub.Digest) { d.Response = sums[:32] }), false},
		{"nothing", "alice", &hub.Digest{}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := newAccess(t, Rules{Users: append(watchers(), people().Users[1])})
			p, err := a.Authenticate(Credentials{User: row.user, Digest: row.digest, Remote: "192.0.2.1:9"})
			if (err == nil) != row.want || row.want != (p.Name == row.user) || err != nil && !errors.Is(err, hub.ErrDenied) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestGuessingByDigest is slowed down as guessing passwords is.
func TestGuessingByDigest(t *testing.T) {
	a := newAccess(t, Rules{Users: watchers()})
	for i := range freeOfUser {
		c := Credentials{User: "alice", Digest: &hub.Digest{Nonce: fmt.Sprint(i)}, Remote: "192.0.2.1:9"}
		if _, err := a.Authenticate(c); !errors.Is(err, hub.ErrDenied) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	right := response("alice", "wonderland", hub.Digest{})
	if _, err := a.Authenticate(Credentials{User: "alice", Digest: right, Remote: "192.0.2.1:10"}); err == nil {
		t.Error("one more was looked at")
	} else if throttled, ok := errors.AsType[ThrottledError](err); !ok || throttled.After <= 0 {
		t.Errorf("one more: %v", err)
	}
	if _, err := a.Authenticate(Credentials{User: "alice", Digest: right, Remote: "192.0.2.2:10"}); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

func TestWhatRTSPOffers(t *testing.T) {
	all := watchers()
	without := append(watchers(), User{Name: "bob", PasswordHash: cheap("builder")})
	half := watchers()
	half[0].TokenHashes = []media.Secret{tokenHash("alice")}
	for _, row := range []struct {
		name          string
		rules         Rules
		digest, basic bool
	}{
		{"nobody", Rules{}, false, true},
		{"everybody can", Rules{Users: all}, true, true},
		{"one cannot", Rules{Users: without}, false, true},
		{"one cannot with a token", Rules{Users: half}, false, true},
		{"basic is asked for", Rules{Users: all, RTSP: ProofBasic}, false, true},
		{"digest is asked for", Rules{Users: without, RTSP: ProofDigest}, true, false},
	} {
		if digest, basic := newAccess(t, row.rules).Schemes(); digest != row.digest || basic != row.basic {
			t.Errorf("%s: digest %v, basic %v", row.name, digest, basic)
		}
	}
}

// TestADigestThatIsTakenAway sends away who came by it.
func TestADigestThatIsTakenAway(t *testing.T) {
	a := newAccess(t, Rules{Users: watchers()})
	next := watchers()
	next[0].DigestHashes = []media.Secret{media.Secret(DigestHash("alice", "changed"))}
	gone, err := a.Set(Rules{Users: next})
	if err != nil || !gone("alice", "gate") || gone("wall", "gate") {
		t.Errorf("alice %v, wall %v, %v", gone("alice", "gate"), gone("wall", "gate"), err)
	}
	if _, err := a.Set(Rules{Users: []User{{Name: "x", DigestHashes: []media.Secret{"abc"}}}}); err == nil {
		t.Error("what is no sum is taken")
	}
}
