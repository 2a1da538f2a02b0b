package api

import (
	"context"
	"net/http"

	"camrelay/daemon/auth"
)

// ownerKey is the key of what AsOwner says.
type ownerKey struct{}

// AsOwner says of the requests of a connection that the box's owner makes them:
// they may do everything unless they present credentials, which then count.
func AsOwner(ctx context.Context) context.Context { return context.WithValue(ctx, ownerKey{}, true) }

// enter tells who asks. The error is as of auth.Access.Enter.
func (s server) enter(r *http.Request) (auth.Principal, error) {
	if owner, _ := r.Context().Value(ownerKey{}).(bool); owner && r.Header.Get("Authorization") == "" {
		return auth.Owner(), nil
	}
	return s.Access.Enter(credentials(r), isLocal(r))
}
