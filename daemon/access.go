package daemon

import (
	"os"
	"slices"

	"camrelay/daemon/auth"
	"camrelay/daemon/session"
)

// withdrawn is why viewers are sent away when the users change.
const withdrawn = "the right to watch was withdrawn"

// applyAccess replaces the rules and sends away the viewers whose right is gone.
// Relay asks again once it has registered a viewer, so none slips through.
func (d *daemon) applyAccess(rules auth.Rules) {
	if name, err := os.Hostname(); err == nil { // without it the names of the configuration are all
		rules.Hosts = append(slices.Clone(rules.Hosts), name)
	}
	gone, err := d.access.Set(rules)
	if err != nil {
		d.log.Error("a user cannot log in", "err", err)
	}
	for _, s := range d.sessions.List() {
		if s.Kind == session.Viewer && gone(s.User, s.Path) {
			s.Kick("config", withdrawn)
		}
	}
}
