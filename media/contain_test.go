package media_test

import (
	"errors"
	"strings"
	"testing"

	"camrelay/media"
)

func TestContain(t *testing.T) {
	held := true
	explode := func(b []byte) (n int, err error) {
		defer media.Contain(&err)
		defer func() { held = false }()
		return int(b[3]), errors.New("was never returned")
	}
	_, err := explode(nil)
	p, ok := errors.AsType[*media.PanicError](err)
	if !ok || !strings.HasPrefix(err.Error(), "internal error: runtime error: index out of range") {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(string(p.Stack), "TestContain") || held {
		t.Errorf("held %v, stack %s", held, p.Stack)
	}
	if _, err := explode(make([]byte, 4)); err == nil || err.Error() != "was never returned" {
		t.Errorf("without a panic got %v", err)
	}
}
