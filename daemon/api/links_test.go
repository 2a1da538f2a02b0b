package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
	"camrelay/daemon/webhook"
)

func TestLinksAreMade(t *testing.T) {
	rules := staff()
	rules.Users = append(rules.Users, auth.User{
		Name: "few", TokenHashes: sums("few"), Role: auth.RoleOperator, Cameras: []string{"gate"},
	})
	h := rigFor(t, rules)
	for _, row := range []struct {
		name, who, body string
		code            int
		says            string
	}{
		{"by an operator", "operator", `{"cameras": ["gate"], "for": "10m"}`, 201, ""},
		{"for all cameras, as long as may be", "operator", "", 201, ""},
		{"by a viewer", "viewer", "", 403, "operate"},
		{"for longer", "operator", `{"for": "61m"}`, 400, "1s to 1h"},
		{"for no time", "operator", `{"for": "0s"}`, 400, "1s to 1h"},
		{"for a word", "operator", `{"for": "ever"}`, 400, "1s to 1h"},
		{"for no camera", "operator", `{"cameras": []}`, 400, "cameras is empty"},
		{
			"for cameras that there are not", "operator", `{"cameras": ["gate", "gaet", "x"]}`, 400,
			`there is no camera "gaet"; there is no camera "x"`,
		},
		{"for a camera that its maker may not see", "few", `{"cameras": ["gaet"]}`, 403, "right to watch"},
		{"for a field that there is not", "operator", `{"camera": "gate"}`, 400, "unknown field"},
	} {
		code, v := call(t, h, "POST", "/v1/links", row.body, bearer(row.who))
		if said, _ := v["detail"].(string); code != row.code || !strings.Contains(said, row.says) {
			t.Errorf("%s: status %d, %v", row.name, code, v)
		}
		if code != 201 {
			continue
		}
		page, _ := v["page"].(string)
		at, err := time.Parse(time.RFC3339, v["expires"].(string))
		if !strings.HasPrefix(page, "/~") || err != nil || time.Until(at) > time.Hour {
			t.Errorf("%s: %v", row.name, v)
		}
		hls, _ := v["hls"].(map[string]any)
		if list, ok := hls["gate"].(string); ok != (row.body != "") || ok && list != page+"gate/index.m3u8" {
			t.Errorf("%s: %v", row.name, v)
		}
	}
	if code, _ := call(t, rig(t), "POST", "/v1/links", "", plainly); code != 409 {
		t.Errorf("by nobody: status %d", code)
	}
}

// TestALinkToWhatAHookMayBring is made, with a warning: the camera may have come when
// somebody does.
func TestALinkToWhatAHookMayBring(t *testing.T) {
	cfg := rigConfig(t, staff())
	cfg.Hooks = func() map[string]webhook.Status { return map[string]webhook.Status{config.HookNotFound: {}} }
	h := New(cfg)
	for body, want := range map[string]string{
		`{"cameras": ["gate", "gaet"]}`: `[there is no camera "gaet" now, but it may be there when somebody comes]`,
		`{"cameras": ["gate"]}`:         "[]",
		"":                              "[]",
	} {
		code, v := call(t, h, "POST", "/v1/links", body, bearer("operator"))
		if got := fmt.Sprint(v["warnings"]); code != 201 || got != want {
			t.Errorf("%s: status %d, warnings %s, want %s", body, code, got, want)
		}
	}
}
