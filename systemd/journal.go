package systemd

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
)

// Log returns a handler that writes to the journal if standard error leads there,
// so that its fields can be asked for (journalctl CAMRELAY_CAMERA=gate), and other
// if it does not. It drops what other would.
// Specification: systemd.journal-fields(7).
func Log(other slog.Handler) slog.Handler {
	if ok, err := journal.StderrIsJournalStream(); err != nil || !ok {
		return other
	}
	return newJournal(other, journal.Send)
}

// send is journal.Send.
type send func(message string, priority journal.Priority, fields map[string]string) error

// toJournal is the handler. Values of it share the page.
type toJournal struct {
	other  slog.Handler // for what the journal does not take
	text   slog.Handler // writes attributes to page
	page   *page
	fields map[string]string // of WithAttrs; never changed
	prefix string            // of groups
	send   send
}

// page is where attributes become text.
type page struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func newJournal(other slog.Handler, to send) *toJournal {
	p := new(page)
	text := slog.NewTextHandler(&p.buf, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{} // the journal has them
			}
			return a
		},
	})
	return &toJournal{other: other, text: text, page: p, send: to}
}

// Enabled implements slog.Handler.
func (j *toJournal) Enabled(ctx context.Context, level slog.Level) bool {
	return j.other.Enabled(ctx, level)
}

// Handle implements slog.Handler. The message has all for people; the fields are
// for programs.
func (j *toJournal) Handle(ctx context.Context, r slog.Record) error {
	message := r.Message
	if attrs := j.attrs(ctx, r); attrs != "" {
		message += " " + attrs
	}
	fields := make(map[string]string, len(j.fields)+r.NumAttrs())
	maps.Copy(fields, j.fields)
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, j.prefix, a)
		return true
	})
	if err := j.send(message, priorityOf(r.Level), fields); err != nil {
		return j.other.Handle(ctx, r)
	}
	return nil
}

// attrs returns the attributes of a record as text.
func (j *toJournal) attrs(ctx context.Context, r slog.Record) string {
	j.page.mu.Lock()
	defer j.page.mu.Unlock()
	j.page.buf.Reset()
	if err := j.text.Handle(ctx, r); err != nil {
		return "" // a buffer takes everything
	}
	return strings.TrimSpace(j.page.buf.String())
}

// WithAttrs implements slog.Handler.
func (j *toJournal) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *j
	next.other, next.text = j.other.WithAttrs(attrs), j.text.WithAttrs(attrs)
	next.fields = make(map[string]string, len(j.fields)+len(attrs))
	maps.Copy(next.fields, j.fields)
	for _, a := range attrs {
		addField(next.fields, j.prefix, a)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (j *toJournal) WithGroup(name string) slog.Handler {
	if name == "" {
		return j
	}
	next := *j
	next.other, next.text = j.other.WithGroup(name), j.text.WithGroup(name)
	next.prefix = j.prefix + name + "_"
	return &next
}

// addField adds an attribute, or those of a group.
func addField(fields map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, inner := range v.Group() {
			addField(fields, prefix, inner)
		}
		return
	}
	if a.Key != "" {
		fields[fieldName(prefix+a.Key)] = v.String()
	}
}

// fieldName is the name of an attribute in the journal, which drops others than
// these silently.
func fieldName(key string) string {
	switch key {
	case "cam":
		return "CAMRELAY_CAMERA"
	case "generation":
		return "CONFIG_GENERATION"
	}
	return "CAMRELAY_" + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func priorityOf(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
