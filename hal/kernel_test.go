package hal

import "testing"

func TestKernelWithoutProc(t *testing.T) {
	b, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if want := b.Proc.Line("sys/kernel/osrelease"); want != "" && kernel() != want {
		t.Errorf("%q, want %q", kernel(), want)
	}
}
