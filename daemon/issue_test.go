package daemon

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"camrelay/daemon/api"
)

func TestTheLoginScreenSaysWhereTheBoxIs(t *testing.T) {
	addrs := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	for _, row := range []struct {
		name    string
		addrs   []netip.Addr
		listens map[string]string
		state   string
		want    string
	}{
		{
			"two networks, both families, both ports",
			addrs("10.20.0.2", "192.168.1.7", "fd00::7"),
			map[string]string{"http": "[::]:8888", "https": "[::]:8443"},
			stateApplied,
			"Cameras of this site:\n  http://10.20.0.2:8888/\n  http://192.168.1.7:8888/\n  http://[fd00::7]:8888/\n" +
				"  https://10.20.0.2:8443/\n  https://192.168.1.7:8443/\n  https://[fd00::7]:8443/\n",
		},
		{
			"a page at one of two addresses",
			addrs("10.20.0.2", "192.168.1.7"),
			map[string]string{"http": "192.168.1.7:80"},
			stateApplied,
			"Cameras of this site:\n  http://192.168.1.7:80/\n",
		},
		{
			"no network yet", nil,
			map[string]string{"http": "[::]:8888"},
			stateApplied,
			"Cameras of this site:\n  no address yet\n",
		},
		{
			"a configuration with mistakes",
			addrs("10.20.0.2"),
			map[string]string{"http": "0.0.0.0:8888"},
			stateLastGood,
			"Cameras of this site:\n  http://10.20.0.2:8888/\nThe configuration is rejected; \"camrelay check\" says why.\n",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := issueText(row.addrs, row.listens, api.ConfigStatus{State: row.state}); got != row.want {
				t.Errorf("%q\nwant %q", got, row.want)
			}
		})
	}
}

// TestAPlacardIsWrittenOnceForEachText: what agetty watches does not change for
// nothing.
func TestAPlacardIsWrittenOnceForEachText(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, issueFile)
	p := placard{dir: dir, log: slog.New(slog.DiscardHandler)}
	for _, text := range []string{"a\n", "a\n", "b\n"} {
		p.show(text)
		got, err := os.ReadFile(name)
		if err != nil || string(got) != text {
			t.Errorf("%q, want %q: %v", got, text, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if p.show("b\n"); !gone(name) {
		t.Error("the same text is written again")
	}
	p.hide() // there is nothing to be hidden
	p.show("b\n")
	if p.hide(); !gone(name) {
		t.Error("it is still there")
	}
}

func gone(name string) bool {
	_, err := os.Lstat(name)
	return os.IsNotExist(err)
}
