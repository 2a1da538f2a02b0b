package auth

import "context"

// Role is what a user may do. Each may do what those before it may.
type Role string

// The roles.
const (
	RoleViewer   Role = "viewer"   // watch, and read the API
	RoleOperator Role = "operator" // start and stop: keepalives, sessions, cameras
	RoleAdmin    Role = "admin"    // everything, on all cameras
)

// Right is what a route of the API demands.
type Right uint8

// The rights, each with those before it. None needs no credentials.
const (
	None Right = iota
	Read
	Operate
	Admin
)

// String returns the word used in messages.
func (r Right) String() string {
	return [...]string{"none", "read", "operate", "admin"}[r]
}

// Principal is somebody who has been let in. The zero value may nothing.
type Principal struct {
	Name string // empty: anonymous
	Role Role   // empty: a viewer where anybody may watch, who has no right to the API

	by      credentialID // zero: none that could be told again
	all     bool
	cameras map[string]bool // never changed
}

func newPrincipal(u User) Principal {
	p := Principal{Name: u.Name, Role: u.Role, all: u.Cameras == nil || u.Role == RoleAdmin}
	if !p.all {
		p.cameras = make(map[string]bool, len(u.Cameras))
		for _, c := range u.Cameras {
			p.cameras[c] = true
		}
	}
	return p
}

// Owner is who owns the box: root, on it.
func Owner() Principal { return Principal{Name: "root", Role: RoleAdmin, all: true} }

// Anonymous tells that nobody knows who it is.
func (p Principal) Anonymous() bool { return p.Name == "" }

// MayView tells whether it may see the camera, and whatever tells of it.
func (p Principal) MayView(camera string) bool { return p.all || p.cameras[camera] }

// MayViewAll tells whether the principal may see all cameras.
func (p Principal) MayViewAll() bool { return p.all }

// May tells whether it has the right.
func (p Principal) May(r Right) bool {
	switch r {
	case None:
		return true
	case Read:
		return p.Role == RoleViewer || p.Role == RoleOperator || p.Role == RoleAdmin
	case Operate:
		return p.Role == RoleOperator || p.Role == RoleAdmin
	case Admin:
		return p.Role == RoleAdmin
	}
	return false
}

// contextKey is the key of a Principal in a context.
type contextKey struct{}

// NewContext returns ctx with a principal in it.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of a request, the zero value if there is none.
func FromContext(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
