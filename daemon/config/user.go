package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"camrelay/media"
)

// Role is what a user may do. Each role may do what those before it may.
type Role string

// The values of role.
const (
	RoleViewer   Role = "viewer"   // watch, and read the API
	RoleOperator Role = "operator" // start and stop: keepalives, sessions, cameras
	RoleAdmin    Role = "admin"    // everything, on all cameras
)

// User is one entry of the section users.
type User struct {
	Name         string
	PasswordHash media.Secret   // PHC string of argon2id; empty: no password lets in
	TokenHashes  []media.Secret // SHA-256 of tokens, 64 digits, lower case
	DigestHashes []media.Secret // for RTSP digest: of the password and of tokens, MD5 and SHA-256 with a colon between
	Role         Role
	Cameras      []string // paths, exact; nil: all
}

var (
	userName = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
	digests  = regexp.MustCompile(`^[0-9a-f]{32}:[0-9a-f]{64}$`)
	hexSum   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// phc is what camrelay user hash prints: a salt of 8 to 64 bytes, a sum of 16 to 64.
	phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})` +
		`\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}$`)
)

// Bounds of argon2id: what one login may cost a small box.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 64
	maxLanes  = 16
)

// users reads the section users of one file.
func (d *decoder) users(v value) {
	for _, item := range v.items() {
		n := len(d.cfg.Users)
		item.key = fmt.Sprintf("users[%d]", n) // counted over all files
		d.cfg.Users = append(d.cfg.Users, User{Role: RoleViewer})
		u := d.cfg.Users[n]
		item.decode(d.userFields(n, &u))
		d.cfg.Users[n] = u
		d.at[item.key] = item
		d.require(item, "name")
	}
}

// userFields is the table of the keys of user n.
func (d *decoder) userFields(n int, u *User) fields {
	token := func(s media.Secret) { d.cfg.Users[n].TokenHashes = append(d.cfg.Users[n].TokenHashes, s) }
	digest := func(s media.Secret) { d.cfg.Users[n].DigestHashes = append(d.cfg.Users[n].DigestHashes, s) }
	return fields{
		"name": func(v value) {
			if s, ok := v.text(); ok && !userName.MatchString(s) {
				v.fail("bad name", "1 to 64 of letters, digits, _, ., @ and -")
			} else if ok {
				u.Name = s
			}
		},
		"password_hash": d.checked(isHash, "camrelay user hash prints it",
			func(s media.Secret) { d.cfg.Users[n].PasswordHash = s }),
		"token_hash": d.checked(hexSum.MatchString, "camrelay user token prints it", token),
		"token_hashes": func(v value) {
			for _, item := range v.items() {
				d.checked(hexSum.MatchString, "camrelay user token prints it", token)(item)
			}
		},
		"digest_hash": d.checked(digests.MatchString, digestHint, digest),
		"digest_hashes": func(v value) {
			for _, item := range v.items() {
				d.checked(digests.MatchString, digestHint, digest)(item)
			}
		},
		"role": word(&u.Role, RoleViewer, RoleOperator, RoleAdmin),
		"cameras": func(v value) {
			u.Cameras = []string{}
			for _, item := range v.items() {
				var name string
				if str(&name, 64)(item); name != "" {
					u.Cameras = append(u.Cameras, name)
				}
			}
		},
	}
}

// digestHint says where a digest_hash comes from.
const digestHint = "camrelay user prints it where it is given --name"

// checked is secret for values of a form.
func (d *decoder) checked(good func(string) bool, hint string, set func(media.Secret)) func(value) {
	return func(v value) {
		d.secret(1, 512, func(s media.Secret) {
			if !good(s.Reveal()) {
				v.fail("is no hash", hint)
				return
			}
			set(s)
		})(v)
	}
}

// isHash tells whether s is a PHC string of argon2id that this box can bear.
func isHash(s string) bool {
	m := phc.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	in := func(digits string, low, high int) bool {
		n, err := strconv.Atoi(digits)
		return err == nil && n >= low && n <= high
	}
	return in(m[1], 8, maxMemory) && in(m[2], 1, maxPasses) && in(m[3], 1, maxLanes)
}

// hashKeys are the keys of a user by which one may log in.
var hashKeys = []string{"password_hash", "token_hash", "token_hashes", "digest_hash", "digest_hashes"}

// warnShared warns of tokens that several users have: who shows one is let in as the
// last of them.
func (d *decoder) warnShared() {
	owner := make(map[media.Secret]int)
	for n, u := range d.cfg.Users {
		for _, sum := range u.TokenHashes {
			if before, ok := owner[sum]; ok && before != n {
				key := fmt.Sprintf("users[%d]", n)
				d.place(key+".token_hash", key+".token_hashes", key).warn(fmt.Sprintf("user %s has the same token: "+
					"who shows it without a name is %s", d.cfg.Users[before].Name, u.Name), "make one for each")
			}
			owner[sum] = n
		}
	}
}

// checkUsers checks what users have to do with one another and with cameras.
func (d *decoder) checkUsers() {
	d.warnShared()
	seen := make(map[string]int)
	for n, u := range d.cfg.Users {
		key := fmt.Sprintf("users[%d]", n)
		if before, ok := seen[u.Name]; ok && u.Name != "" {
			first := d.place(fmt.Sprintf("users[%d].name", before))
			d.place(key+".name").failf("there is a user of that name in %s, line %d",
				first.src.name, first.node.GetToken().Position.Line)
		}
		seen[u.Name] = n
		_, readable := d.at[key].node.(ast.MapNode)
		if readable && !slices.ContainsFunc(hashKeys, func(k string) bool { return d.has(key + "." + k) }) {
			d.place(key).fail("can never log in", "give password_hash or token_hash")
		}
		for i, name := range u.Cameras {
			if _, ok := d.cfg.Cameras[name]; !ok {
				v := d.place(key + ".cameras")
				if list, is := v.node.(*ast.SequenceNode); is && i < len(list.Values) {
					v.node = list.Values[i]
				}
				v.warn(fmt.Sprintf("there is no camera %q now", shorten(name)), closest(name, keysOf(d.cfg.Cameras)))
			}
		}
	}
}

// keepalives reads the section keepalives of one file.
func (d *decoder) keepalives(v value) {
	for _, e := range d.names(v) {
		var k Keepalive
		e.decode(keepaliveFields(&k))
		d.require(e, "camera")
		d.cfg.Keepalives[e.name.Value] = k
	}
}

func keepaliveFields(k *Keepalive) fields {
	return fields{
		"camera":   str(&k.Camera, 64),
		"label":    str(&k.Label, 200),
		"priority": number(&k.Priority, 0, 100),
	}
}

// checkKeepalives checks what keepalives say of cameras.
func (d *decoder) checkKeepalives() {
	for _, name := range keysOf(d.cfg.Keepalives) {
		d.known("keepalives."+name+".camera", d.cfg.Keepalives[name].Camera)
	}
}

// known fails if a key names a camera that there is not.
func (d *decoder) known(key, camera string) {
	names := keysOf(d.cfg.Cameras)
	if camera != "" && !slices.Contains(names, camera) {
		d.place(key).fail(fmt.Sprintf("there is no camera %q", shorten(camera)), closest(camera, names))
	}
}
