package hls

import "testing"

// TestShrink: what was allowed before is refused, and allowed again.
func TestShrink(t *testing.T) {
	b, o := NewBudget(100*page, 100*page), new(share)
	if _, _, ok := b.reserve(o, 20*page); !ok {
		t.Fatal("there is no room for 20 of 100")
	}
	b.Shrink(4)
	if _, _, ok := b.reserve(o, 10*page); ok {
		t.Error("there is room for 30 of 25")
	}
	if used, total := b.Used(); used != 20*page || total != 25*page {
		t.Errorf("%d of %d", used, total)
	}
	b.Shrink(1)
	if _, _, ok := b.reserve(o, 80*page); !ok {
		t.Error("there is no room for 100 of 100")
	}
}
