package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"

	"camrelay/media"
)

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// foreign is of the reference implementation's program:
// echo -n wonderland | argon2 somesalt -id -t 2 -k 256 -p 2 -l 24 -e.
const foreign = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$Rh3dMUBNCYmS1xkSWBgSXugo3+Jb9WsS"

func TestHashesOfOthers(t *testing.T) {
	h, err := parseHash(foreign)
	if err != nil || !h.matches("wonderland") || h.matches("wonderlan") || h.matches("") {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestHash(t *testing.T) {
	a, b := Hash("wonderland"), Hash("wonderland")
	if a == b {
		t.Error("the same salt twice")
	}
	h, err := parseHash(a)
	if err != nil || !h.matches("wonderland") || h.matches("Wonderland") {
		t.Errorf("%s: %v", a, err)
	}
	access := newAccess(t, Rules{Users: []User{{Name: "a", PasswordHash: media.Secret(a)}}})
	if p, err := access.Authenticate(Credentials{User: "a", Password: "wonderland"}); err != nil || p.May(Read) {
		t.Errorf("a user without a role: %+v, %v", p, err)
	}
}

var badHashes = []string{
	"", "$", "hunter2",
	strings.Replace(foreign, "argon2id", "argon2i", 1),
	strings.Replace(foreign, "v=19", "v=16", 1),
	strings.Replace(foreign, "m=256", "m=1048576", 1),
	strings.Replace(foreign, "m=256", "m=0", 1),
	strings.Replace(foreign, "t=2", "t=0", 1),
	strings.Replace(foreign, "t=2", "t=900", 1),
	strings.Replace(foreign, "p=2", "p=99", 1),
	strings.Replace(foreign, "m=256,t=2", "t=2,m=256", 1),
	strings.Replace(foreign, "c29tZXNhbHQ", "c29t", 1),
	strings.Replace(foreign, "c29tZXNhbHQ", "c29tZXNhbH!", 1),
	foreign[:len(foreign)-20],
	foreign + "$x", foreign + "\n", foreign + "=",
}

func TestBadHashes(t *testing.T) {
	for _, s := range badHashes {
		if h, err := parseHash(s); err == nil || h.set() {
			t.Errorf("%q is read as %+v", s, h)
		}
	}
}

// FuzzHash: what is read is within bounds, so that a login cannot exhaust the
// box, and nothing makes it panic.
func FuzzHash(f *testing.F) {
	f.Add(foreign)
	for _, s := range badHashes {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err != nil {
			return
		}
		if h.memory < 1 || h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.lanes < 1 ||
			h.lanes > maxLanes || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 64 || !h.equal(h) {
			t.Errorf("%q is read as %+v", s, h)
		}
	})
}

// BenchmarkAuthenticate is what a request of a player costs.
func BenchmarkAuthenticate(b *testing.B) {
	a := New(slog.New(slog.DiscardHandler))
	if _, err := a.Set(Rules{Users: []User{{Name: "a", PasswordHash: media.Secret(Hash("wonderland"))}}}); err != nil {
		b.Fatal(err)
	}
	c := Credentials{User: "a", Password: "wonderland", Remote: "192.0.2.1:5000"}
	for name, before := range map[string]func(){
		"first":      func() { a.book.Load().users["a"].good.Store(nil) },
		"remembered": func() {},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				before()
				if _, err := a.Authenticate(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
