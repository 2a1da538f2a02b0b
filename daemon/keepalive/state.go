package keepalive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of the state file.
const (
	fileVersion = 1
	maxFile     = 4 << 20 // bytes
	maxEntries  = 4096
	maxText     = 255 // bytes of a name
)

// errNewer is the error of a state file that another version of camrelay wrote.
var errNewer = errors.New("it was written by a newer camrelay")

// stateFile is the state file.
type stateFile struct {
	Version    int               `json:"version"`
	Written    time.Time         `json:"written"`
	Boot       string            `json:"boot"` // of the box
	Up         duration          `json:"up"`   // since then
	Keepalives []json.RawMessage `json:"keepalives"`
}

// entry is one lease in the file.
type entry struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created"`
	Path        string    `json:"path"`
	CreatorUser string    `json:"creator_user,omitempty"`
	CreatorIP   string    `json:"creator_ip,omitempty"`
	Label       string    `json:"label,omitempty"`
	Priority    int       `json:"priority,omitempty"`
	TTL         duration  `json:"ttl,omitempty"`
	Left        duration  `json:"left,omitempty"`     // of TTL, at Written
	Declared    string    `json:"declared,omitempty"` // its name in the configuration
}

// duration is written as "1h0m0s".
type duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}

// moment is a point in time by two clocks: that on the wall, which may be set,
// and the one that runs since the box was started.
type moment struct {
	wall time.Time // with monotonic reading
	boot string    // names the start of the box; empty: unknown
	up   time.Duration
}

// since returns the time from an earlier moment, which may be of another
// process, to m. It is 0 if the clock was set back meanwhile.
func (m moment) since(before moment) time.Duration {
	if m.boot != "" && m.boot == before.boot {
		return max(0, m.up-max(0, before.up))
	}
	return max(0, m.wall.Round(0).Sub(before.wall.Round(0)))
}

// slack is how much more time than the file says a lease has after a restart.
// Renewing need not be written so often, whoever renews has time to come back,
// and a clock that is wrong at boot ends nothing at once.
func slack(ttl time.Duration) time.Duration { return min(ttl, time.Hour) }

// left returns the time that a lease has after a restart.
func left(ttl, written, elapsed time.Duration) time.Duration {
	return min(ttl, slack(ttl)+max(0, written-elapsed))
}

// encode returns the file's content.
func encode(leases []lease, now moment) []byte {
	f := stateFile{
		Version: fileVersion, Written: now.wall.UTC(), Boot: now.boot, Up: duration(now.up), Keepalives: []json.RawMessage{},
	}
	for _, l := range leases {
		e := entry{
			ID: l.ID, Created: l.Created, Path: l.Path, CreatorUser: l.CreatorUser, CreatorIP: l.CreatorIP,
			Label: l.Label, Priority: l.Priority, TTL: duration(l.TTL), Declared: l.Name,
		}
		if l.TTL > 0 {
			e.Left = duration(max(0, l.deadline.Sub(now.wall)))
		}
		raw, err := json.Marshal(e)
		if err != nil {
			panic("keepalive: internal error: " + err.Error())
		}
		f.Keepalives = append(f.Keepalives, raw)
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		panic("keepalive: internal error: " + err.Error())
	}
	return append(b, '\n')
}

// decode returns the leases of a file. The error says what was wrong with it;
// those entries that are sound are returned all the same.
func decode(b []byte, now moment) ([]*lease, error) {
	var version struct{ Version int }
	if len(b) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return nil, fmt.Errorf("cannot read it as JSON: %w", err)
	}
	if version.Version > fileVersion {
		return nil, fmt.Errorf("version %d: %w", version.Version, errNewer)
	}
	if version.Version != fileVersion {
		return nil, fmt.Errorf("there is no version %d", version.Version)
	}
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("cannot read it: %w", err)
	}
	if len(f.Keepalives) > maxEntries {
		return nil, fmt.Errorf("it has %d keepalives", len(f.Keepalives))
	}
	elapsed := now.since(moment{wall: f.Written, boot: f.Boot, up: time.Duration(f.Up)})
	var leases []*lease
	var errs []error
	seen := make(map[string]bool)
	for i, raw := range f.Keepalives {
		l, err := decodeEntry(raw, elapsed, now.wall)
		if err == nil && (seen[l.ID] || l.Name != "" && seen["declared "+l.Name]) {
			err = errors.New("it is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("keepalive %d: %w", i+1, err))
			continue
		}
		seen[l.ID], seen["declared "+l.Name] = true, true
		leases = append(leases, l)
	}
	if len(errs) > 1 {
		errs[1] = fmt.Errorf("and %d more", len(errs)-1)
	}
	return leases, errors.Join(errs[:min(len(errs), 2)]...)
}

// decodeEntry returns one lease.
func decodeEntry(raw json.RawMessage, elapsed time.Duration, now time.Time) (*lease, error) {
	var e entry
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return nil, err
	}
	ttl := time.Duration(e.TTL)
	switch err := (Request{Path: e.Path, Label: e.Label, Priority: e.Priority, TTL: ttl}).check(); {
	case err != nil:
		return nil, err
	case !ValidID(e.ID):
		return nil, errors.New("its id is no UUID")
	case len(e.CreatorUser) > maxText || len(e.CreatorIP) > maxText || len(e.Declared) > maxText:
		return nil, errors.New("a name is too long")
	case e.Declared != "" && ttl != 0:
		return nil, errors.New("it is declared, and has a ttl")
	}
	l := &lease{Lease: Lease{
		ID: strings.ToLower(e.ID), Created: e.Created, Path: e.Path, CreatorUser: e.CreatorUser, CreatorIP: e.CreatorIP,
		Label: e.Label, Priority: e.Priority, TTL: ttl, Owner: OwnerAPI, Name: e.Declared,
		State: Waiting, Reason: reasonLoaded, Since: now,
	}}
	if e.Declared != "" {
		l.Owner, l.dormant = OwnerConfig, true
	}
	if ttl > 0 {
		l.deadline = now.Add(left(ttl, max(0, min(ttl, time.Duration(e.Left))), elapsed))
	}
	return l, nil
}
