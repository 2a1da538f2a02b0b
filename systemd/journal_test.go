package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

// kept is one entry of a journal.
type kept struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

func TestLogOfTheJournal(t *testing.T) {
	var got kept
	log := slog.New(newJournal(slog.NewTextHandler(&bytes.Buffer{}, nil),
		func(message string, priority journal.Priority, fields map[string]string) error {
			got = kept{message, priority, fields}
			return nil
		}))
	for _, row := range []struct {
		name string
		log  func()
		want kept
	}{
		{
			"a line of the daemon", func() { log.Info("camrelay runs") },
			kept{"camrelay runs", journal.PriInfo, nil},
		},
		{
			"a line of a camera",
			func() { log.With("cam", "gate").Error("it is out", "err", errors.New("no route"), "attempt", 3) },
			kept{
				`it is out cam=gate err="no route" attempt=3`, journal.PriErr,
				map[string]string{"CAMRELAY_CAMERA": "gate", "CAMRELAY_ERR": "no route", "CAMRELAY_ATTEMPT": "3"},
			},
		},
		{
			"a line about the configuration", func() { log.Warn("an edit", "generation", 41) },
			kept{"an edit generation=41", journal.PriWarning, map[string]string{"CONFIG_GENERATION": "41"}},
		},
		{
			"groups are part of the name",
			func() { log.WithGroup("srt").Info("open", slog.Group("peer", "round_trip", 5)) },
			kept{"open srt.peer.round_trip=5", journal.PriInfo, map[string]string{"CAMRELAY_SRT_PEER_ROUND_TRIP": "5"}},
		},
		{
			"a line that is two stays one entry", func() { log.Info("a", "err", "b\nMESSAGE=c") },
			kept{`a err="b\nMESSAGE=c"`, journal.PriInfo, map[string]string{"CAMRELAY_ERR": "b\nMESSAGE=c"}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			got = kept{}
			row.log()
			if got.message != row.want.message || got.priority != row.want.priority ||
				len(got.fields) != len(row.want.fields) || fmt.Sprint(got.fields) != fmt.Sprint(row.want.fields) &&
				len(row.want.fields) > 0 {
				t.Errorf("%+v, want %+v", got, row.want)
			}
		})
	}
	got = kept{}
	if log.Debug("not asked for"); got.message != "" {
		t.Errorf("a level that is off: %+v", got)
	}
}

func TestWhatTheJournalDoesNotTakeGoesElsewhere(t *testing.T) {
	var elsewhere bytes.Buffer
	log := slog.New(newJournal(slog.NewTextHandler(&elsewhere, nil),
		func(string, journal.Priority, map[string]string) error { return errors.New("gone") }))
	log.With("cam", "gate").Info("it is out")
	if !strings.Contains(elsewhere.String(), `msg="it is out" cam=gate`) {
		t.Errorf("elsewhere is %q", elsewhere.String())
	}
}

func TestLogOutsideOfTheJournal(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	other := slog.NewTextHandler(&bytes.Buffer{}, nil)
	if got := Log(other); got != slog.Handler(other) {
		t.Errorf("the handler is %T", got)
	}
}

func FuzzFieldName(f *testing.F) {
	f.Add("cam")
	f.Add("round-trip.ms")
	f.Add("größe\x00")
	f.Fuzz(func(t *testing.T, key string) {
		for i, r := range fieldName(key) {
			if (r < 'A' || r > 'Z') && r != '_' && (i == 0 || r < '0' || r > '9') {
				t.Errorf("%q becomes %q", key, fieldName(key))
			}
		}
	})
}
