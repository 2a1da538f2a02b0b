package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// fill appends events of types e<from> and so on.
func fill(l *Log, from, n int) {
	for i := range n {
		l.Append(Event{Type: fmt.Sprintf("e%d", from+i)})
	}
}

func TestCursor(t *testing.T) {
	rows := []struct {
		name  string
		n     int // appended before
		id    func(l *Log) string
		first string // the next event
		lost  uint64
	}{
		{"after an event", 5, func(l *Log) string { return l.id(3) }, "e4", 0},
		{"after the last event", 5, func(l *Log) string { return l.id(5) }, "e6", 0},
		{"after none", 5, func(*Log) string { return "" }, "e1", 0},
		{"after one of another boot", 5, func(*Log) string { return "0123456789ab-3" }, "e1", 0},
		{"after one that is still to come", 5, func(l *Log) string { return l.id(99) }, "e1", 0},
		{"after nonsense", 5, func(l *Log) string { return l.boot + "--3" }, "e1", 0},
		{"after the last that was discarded", held + 7, func(l *Log) string { return l.id(7) }, "e8", 0},
		{"after one that was discarded before", held + 7, func(l *Log) string { return l.id(3) }, "e8", 4},
		{"after none when some were discarded", held + 7, func(*Log) string { return "x" }, "e8", 0},
		{"after an event of an empty log", 0, func(l *Log) string { return l.id(3) }, "e1", 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			l := NewLog()
			fill(l, 1, row.n)
			c := l.After(row.id(l))
			if row.first == fmt.Sprintf("e%d", row.n+1) {
				fill(l, row.n+1, 1)
			}
			got, lost, err := c.Next(t.Context(), 2)
			if err != nil || lost != row.lost || len(got) == 0 || got[0].Type != row.first {
				t.Errorf("%v, %d lost, %v; want %s, %d lost", got, lost, err, row.first, row.lost)
			}
		})
	}
}

func TestCursorReadsAllInOrder(t *testing.T) {
	l := NewLog()
	fill(l, 1, 3) // a live cursor does not see them
	const n = 5000
	c := l.Live()
	var writers sync.WaitGroup
	writers.Go(func() { fill(l, 4, n) })
	var seen, lost uint64
	for last := uint64(3); seen+lost < n; {
		events, missed, err := c.Next(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		last += missed
		for _, e := range events {
			last++
			if e.Type != fmt.Sprintf("e%d", last) || e.ID != l.id(last) || e.Time.IsZero() {
				t.Fatalf("%+v at %d", e, last)
			}
		}
		seen += uint64(len(events))
		lost += missed
	}
	writers.Wait()
	if rest, _, _ := c.take(held); len(rest) > 0 {
		t.Errorf("%d behind at the end", len(rest))
	}
}

func TestCursorEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := NewLog().Live()
	if events, _, err := c.Next(ctx, 1); !errors.Is(err, context.Canceled) || events != nil {
		t.Errorf("%v, %v", events, err)
	}
}

func TestIDsOfTwoLogsDiffer(t *testing.T) {
	a, b := NewLog(), NewLog()
	if a.boot == b.boot || !strings.HasSuffix(a.id(7), "-7") {
		t.Errorf("%s and %s", a.id(7), b.id(7))
	}
}

func TestMatches(t *testing.T) {
	rows := []struct {
		types, typ string
		want       bool
	}{
		{"", "path.ready", true},
		{"path.ready", "path.ready", true},
		{"path.ready", "path.ready_again", false},
		{"session.* path.ready", "path.not_ready", false},
		{"session.* path.ready", "session.opened", true},
		{"session.*", "session", false},
		{"session.*", "sessions.opened", false},
	}
	for _, row := range rows {
		if got := Matches(strings.Fields(row.types), row.typ); got != row.want {
			t.Errorf("%q of %q: %v", row.typ, row.types, got)
		}
	}
}

func TestKnows(t *testing.T) {
	l := NewLog()
	fill(l, 1, held+5)
	for id, want := range map[string]bool{
		l.id(1): true, l.id(held + 5): true, l.id(held + 6): false, l.id(0): false, "0": false, "": false, "x-3": false,
	} {
		if l.Knows(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l := NewLog()
	fill(l, 0, held)
	b.ReportAllocs()
	for b.Loop() {
		l.Append(Event{Type: "path.ready"})
	}
}
