package hub

import (
	"errors"
	"io"
	"testing"

	"camrelay/media"
)

// numbered is an entry of a derived log.
type numbered struct {
	n, size int
	start   bool
}

// counting is a recipe whose muxer numbers units and panics at one whose data
// is empty, as a muxer may on what it was never made for.
func counting(name string) Recipe[numbered] {
	return Recipe[numbered]{
		Name: name, Limits: roomy,
		Size:  func(i numbered) int { return i.size },
		Start: func(i numbered) bool { return i.start },
		New: func() func(*media.Unit, []numbered) []numbered {
			n := 0
			return func(u *media.Unit, out []numbered) []numbered {
				n++
				return append(out, numbered{n: n, size: int(u.Data[0][0]), start: u.Key})
			}
		},
	}
}

func TestAMuxerThatPanicsEndsItsLogAndNothingElse(t *testing.T) {
	s := NewStream("gate")
	defer s.Close()
	good := &media.Unit{Key: true, Data: [][]byte{{1}}}
	log, release := Derive(s, counting("x"))
	defer release()
	r := log.Reader("r", LastStart)
	defer r.Close()
	next := func(r *Reader[numbered]) (numbered, error) {
		t.Helper()
		v, _, err := r.Next(t.Context())
		return v, err
	}
	s.Units.Append(good, good)
	for want := 1; want <= 2; want++ {
		if v, err := next(r); err != nil || v.n != want {
			t.Fatalf("got %v, %v; want entry %d", v, err, want)
		}
	}
	s.Units.Append(&media.Unit{})
	if v, err := next(r); !isPanic(err) {
		t.Fatalf("got %v, %v; want the panic", v, err)
	}
	late := log.Reader("late", Live)
	defer late.Close()
	if _, err := next(late); !isPanic(err) {
		t.Errorf("a later reader of the ended log got %v", err)
	}

	s.Units.Append(good) // a group of pictures without what was too much
	again, releaseAgain := Derive(s, counting("x"))
	defer releaseAgain()
	if again == log {
		t.Fatal("the ended log was handed out again")
	}
	release() // the first user's end must not end the second's
	ra := again.Reader("ra", Live)
	defer ra.Close()
	s.Units.Append(good)
	if v, err := next(ra); err != nil || !v.start {
		t.Errorf("the fresh log gave %v, %v", v, err)
	}
	s.Close()
	var err error
	for err == nil {
		_, err = next(ra)
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("at the end of the stream the fresh log gave %v", err)
	}
}

func TestAPanicWithinALogLeavesItUsable(t *testing.T) {
	s := NewStream("gate")
	defer s.Close()
	recipe := counting("x")
	recipe.Size = func(numbered) int { panic("no size") }
	log, release := Derive(s, recipe)
	defer release()
	r := log.Reader("r", LastStart)
	defer r.Close()
	s.Units.Append(&media.Unit{Key: true, Data: [][]byte{{1}}})
	if _, _, err := r.Next(t.Context()); !isPanic(err) {
		t.Errorf("got %v, want the panic", err)
	}
}

func isPanic(err error) bool {
	_, ok := errors.AsType[*media.PanicError](err)
	return ok
}
