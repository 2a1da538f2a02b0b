package daemon

import "testing"

func TestWhatIsInMemory(t *testing.T) {
	for dir, want := range map[string]bool{
		"/dev/shm": true, "/proc": false, "/sys": false, "/there/is/nothing": true,
	} {
		if got := inMemory(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}
