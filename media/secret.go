package media

import (
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

// masked stands for every secret that is printed.
const masked = "***"

// Masked tells whether text holds what is printed in the place of a secret, so
// that it is not taken for the secret when somebody sends it back.
func Masked(text string) bool {
	return strings.Contains(text, masked) || strings.Contains(strings.ToLower(text), "%2a%2a%2a")
}

// Secret is a password, passphrase or stream key. Whatever prints it prints
// ***; Reveal gives the value to the protocol that needs it. It is comparable.
type Secret string

// String returns *** or, for an empty secret, the empty string.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// secretInPath finds a secret in a path by the word before it.
var secretInPath = regexp.MustCompile(`(?i)((?:pass|passwd|password|pwd|token|key|secret|auth)(?:=|%3d))[^/]*`)

// RedactURL returns raw in a form that may be shown to anybody: without
// user info, without the values of its query, and, for rtmp and rtmps, without
// the last path element, which is the stream key. Of a path like
// /user=admin_password=x_channel=1, which cheap cameras have, what comes behind
// the word is not shown. What does not parse becomes ***.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return masked
	}
	var b strings.Builder
	b.WriteString(u.Scheme + "://" + u.Host)
	path := u.EscapedPath()
	if key := strings.TrimRight(path, "/"); strings.HasPrefix(u.Scheme, "rtmp") && key != "" {
		path = key[:strings.LastIndexByte(key, '/')+1] + masked
	}
	b.WriteString(secretInPath.ReplaceAllString(path, "${1}"+masked))
	sep := "?"
	for kv := range strings.SplitSeq(u.RawQuery, "&") {
		if key, _, ok := strings.Cut(kv, "="); ok {
			b.WriteString(sep + key + "=" + masked)
			sep = "&"
		}
	}
	return b.String()
}
