package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"camrelay/daemon/session"
)

// order is the body of terminate and find, in Flashphoner's terms where it has
// them. A field that is not given asks for nothing, all others must apply.
type order struct {
	filter  session.Filter
	all     bool
	dryRun  bool
	holdOff *time.Duration // nil: as the configuration says
}

// orderFields are the names of its fields.
var orderFields = []string{
	"mediaSessionId", "mediaSessionIds", "name", "published", "status", "kind", "protocol",
	"all", "dryRun", "dry_run", "holdOff", "hold_off",
}

// fields are where the fields go.
func (o *order) fields() map[string]any {
	return map[string]any{
		"mediaSessionId": &o.filter.ID, "mediaSessionIds": &o.filter.IDs, "name": &o.filter.Name,
		"published": &o.filter.Published, "status": &o.filter.Status, "kind": &o.filter.Kind,
		"protocol": &o.filter.Protocol, "all": &o.all, "dryRun": &o.dryRun, "dry_run": &o.dryRun,
		"holdOff": &o.holdOff, "hold_off": &o.holdOff,
	}
}

// parseOrder reads a JSON object. It is strict, because what is misread here
// ends streams: field names are exact, none comes twice, null is no value. The
// error is for the client.
func parseOrder(r *http.Request) (order, error) {
	var o order
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, MaxBody))
	if start, err := d.Token(); errors.Is(err, io.EOF) {
		return o, nil
	} else if err != nil || start != json.Delim('{') {
		return o, errNoObject
	}
	fields, seen := o.fields(), make(map[any]bool)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return o, errNoObject
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return o, errNoObject
		}
		key, _ := name.(string)
		dst := fields[key]
		switch {
		case dst == nil:
			return o, fmt.Errorf("unknown field %q, use %s", key, strings.Join(orderFields, ", "))
		case seen[dst]:
			return o, fmt.Errorf("field %q is given twice", key)
		}
		seen[dst] = true
		if err := o.take(key, raw, dst); err != nil {
			return o, err
		}
	}
	if _, err := d.Token(); err != nil {
		return o, errNoObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, errNoObject
	}
	return o, o.filter.Check()
}

var errNoObject = errors.New("the body is no JSON object")

// take reads the value of one field.
func (o *order) take(key string, raw json.RawMessage, dst any) error {
	if string(raw) == "null" {
		return fmt.Errorf("field %q is null: leave it out or give it a value", key)
	}
	if slices.Contains([]string{"holdOff", "hold_off"}, key) {
		d, err := parseHoldOff(raw)
		o.holdOff = &d
		return err
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		kind, ok := errors.AsType[*json.UnmarshalTypeError](err)
		if !ok {
			return errNoObject
		}
		return fmt.Errorf("field %q must be of type %s", key, kind.Type)
	}
	return nil
}

// maxHoldOff bounds a hold-off.
const maxHoldOff = 24 * time.Hour

// parseHoldOff reads seconds or a text like "90s".
func parseHoldOff(raw json.RawMessage) (time.Duration, error) {
	var seconds float64
	var text string
	d := time.Duration(-1)
	if json.Unmarshal(raw, &seconds) == nil {
		d = time.Duration(min(max(seconds, -1), 2*maxHoldOff.Seconds()) * float64(time.Second))
	} else if json.Unmarshal(raw, &text) == nil {
		if parsed, err := time.ParseDuration(text); err == nil {
			d = parsed
		}
	}
	if d < 0 || d > maxHoldOff {
		return 0, fmt.Errorf("a hold-off is 0 to %v, as \"90s\" or in seconds", maxHoldOff)
	}
	return d, nil
}
