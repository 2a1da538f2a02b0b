package hub

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWhatAViewerIsTold(t *testing.T) {
	refused := func(text string) error {
		return fmt.Errorf("%w (dial tcp 10.20.0.11:554)", Refuse(ErrUnavailable, text))
	}
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"words of a refusal, and nothing around them", refused("enough is enough"), "enough is enough"},
		{"one line", refused("a\r\nSet-Cookie: b\x00\tc\n"), "a  Set-Cookie: b c"},
		{"letters of any language", refused("Kamera gesperrt für Gäste"), "Kamera gesperrt für Gäste"},
		{"no half letters", refused("x" + strings.Repeat("ü", 100)), "x" + strings.Repeat("ü", 99)},
		{"what is no text", refused("a\xffb"), "ab"},
		{"a refusal without words", refused(" \n"), ErrUnavailable.Error()},
		{"an error of this package", fmt.Errorf("%w: dial tcp 10.20.0.11:554", ErrNotFound), ErrNotFound.Error()},
		{"any other error", errors.New("dial tcp 10.20.0.11:554"), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Reason(row.err); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
	if err := refused("x"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
		t.Errorf("%v is another kind", err)
	}
}
