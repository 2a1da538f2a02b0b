package daemon

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"camrelay/daemon/api"
	"camrelay/daemon/config"
)

// keeper is a site whose API is told to keep pushes.
type keeper struct {
	*site
	t      *testing.T
	file   string
	client *api.Client
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	s := newQuietSite(t, "pushes:\n  mine: {camera: gate, url: \"rtmp://127.0.0.1:1/live/a\"}\n")
	return &keeper{
		site: s, t: t, file: filepath.Join(s.opts.StateDir, MachineFile),
		client: api.NewClient(filepath.Join(s.opts.RuntimeDir, "api.sock"), ""),
	}
}

// keep posts a push, and returns the file that the answer names, or the status code.
func (k *keeper) keep(name string) (file string, code int) { return k.keepOf("gate", name) }

func (k *keeper) keepOf(camera, name string) (file string, code int) {
	k.t.Helper()
	var answer struct{ File string }
	err := k.client.Do(k.t.Context(), http.MethodPost, "/v1/pushes", map[string]any{
		"name": name, "camera": camera, "url": "rtmp://127.0.0.1:1/live", "key": "hunter2", "persist": true,
	}, &answer)
	if refused, ok := errors.AsType[*api.AnswerError](err); ok {
		return "", refused.Code
	} else if err != nil {
		k.t.Fatal(err)
	}
	return answer.File, http.StatusAccepted
}

// owner returns the file that names a push, or why there is none.
func (k *keeper) owner(name string) string {
	var p api.PushStatus
	if err := k.client.Get(k.t.Context(), "/v1/pushes/"+name, &p); err != nil {
		return err.Error()
	}
	return p.File
}

func (k *keeper) remove(name string) error {
	return k.client.Do(k.t.Context(), http.MethodDelete, "/v1/pushes/"+name, nil, nil)
}

// TestWhatTheAPIKeeps: a push that is to last goes to a file of the machine's own,
// and outlives a restart.
func TestWhatTheAPIKeeps(t *testing.T) {
	k := newKeeper(t)
	stop := k.start(t)
	k.await(t, stateApplied, 1)
	if file, code := k.keep("up"); file != k.file {
		t.Fatalf("status %d, %q", code, file)
	}
	k.await(t, stateApplied, 2)
	if got := k.owner("up"); got != k.file {
		t.Errorf("it is %s's", got)
	}
	if info, err := os.Stat(k.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, name := range []string{"up", "mine"} {
		if _, code := k.keep(name); code != http.StatusConflict {
			t.Errorf("%s: status %d", name, code)
		}
	}
	stop()
	k.start(t)
	await(t, "it is there after a restart", func() bool { return k.owner("up") == k.file })
	if err := k.remove("up"); err != nil {
		t.Error(err)
	}
	k.await(t, stateApplied, 3)
	if got := k.owner("up"); got != api.ErrNoPush.Error() {
		t.Errorf("after its removal it is %s's", got)
	}
}

// TestPeopleWinOverTheMachine: whatever people write is used, and nothing in the
// machine's file makes theirs be refused.
func TestPeopleWinOverTheMachine(t *testing.T) {
	k := newKeeper(t)
	k.start(t)
	k.await(t, stateApplied, 1)
	k.keep("up")
	k.await(t, stateApplied, 2)
	theirs := k.dropIn("up.yaml")
	k.write(t, theirs, "pushes:\n  up: {camera: gate, url: \"rtmp://127.0.0.1:1/live/b\"}\n")
	st := k.await(t, stateApplied, 3)
	warned := slices.ContainsFunc(st.Warnings, func(w *config.Error) bool {
		return w.File == k.file && strings.Contains(w.Message, theirs)
	})
	if k.owner("up") != theirs || !warned {
		t.Errorf("it is %s's, warnings %v", k.owner("up"), st.Warnings)
	}
	refused, ok := errors.AsType[*api.AnswerError](k.remove("up"))
	if !ok || refused.Code != http.StatusConflict || !strings.Contains(refused.Detail, theirs) {
		t.Errorf("removing theirs: %v", refused)
	}
	k.write(t, theirs, "")
	k.await(t, stateApplied, 4)
	k.write(t, k.opts.ConfigFile, quietSite+"mistake: 1\n") // in what people write: the machine's goes on, too
	k.await(t, stateRejected, 4)
	if k.owner("up") != k.file {
		t.Errorf("it is %s's", k.owner("up"))
	}
}

// TestAKeptPushWhoseCameraGoes is left out, and the others that are kept go on. It
// is used again when the camera returns, and can be removed before.
func TestAKeptPushWhoseCameraGoes(t *testing.T) {
	k := newKeeper(t)
	both := quietSite + "  yard: {url: \"rtsp://127.0.0.1:1/\", keep: ondemand}\n"
	k.write(t, k.opts.ConfigFile, both)
	k.start(t)
	k.await(t, stateApplied, 1)
	k.keep("up")
	k.await(t, stateApplied, 2)
	k.keepOf("yard", "far")
	k.await(t, stateApplied, 3)
	k.write(t, k.opts.ConfigFile, quietSite)
	st := k.await(t, stateApplied, 4)
	warned := slices.ContainsFunc(st.Warnings, func(w *config.Error) bool {
		return w.File == k.file && w.Key == "pushes.far.camera" && strings.Contains(w.Message, "yard")
	})
	if k.owner("up") != k.file || k.owner("far") != api.ErrNoPush.Error() || !warned {
		t.Errorf("they are %s's and %s's, warnings %v", k.owner("up"), k.owner("far"), st.Warnings)
	}
	k.write(t, k.opts.ConfigFile, both)
	k.await(t, stateApplied, 5)
	if got := k.owner("far"); got != k.file {
		t.Errorf("it is %s's when its camera is back", got)
	}
	k.write(t, k.opts.ConfigFile, quietSite)
	k.await(t, stateApplied, 6)
	if err := k.remove("far"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(k.file); err != nil || strings.Contains(string(text), "far") {
		t.Errorf("the file holds %s, %v", text, err)
	}
}

// TestAKeptPushWithAMistake, as an upgrade may find one: it alone is left out, which
// is told of, also by the next start, until it is removed.
func TestAKeptPushWithAMistake(t *testing.T) {
	k := newKeeper(t)
	stop := k.start(t)
	k.await(t, stateApplied, 1)
	k.keep("up")
	k.await(t, stateApplied, 2)
	k.keep("far")
	k.await(t, stateApplied, 3)
	text := read(t, k.file)
	i := strings.Index(text, `"far"`)
	k.write(t, k.file, text[:i]+strings.Replace(text[i:], "rtmp://", "ftp://", 1))
	for generation := 4; generation < 6; generation++ {
		st := k.await(t, statePartial, generation)
		if k.owner("up") != k.file || k.owner("far") != api.ErrNoPush.Error() {
			t.Errorf("they are %s's and %s's", k.owner("up"), k.owner("far"))
		}
		file := st.Files[len(st.Files)-1]
		if len(st.Errors) != 1 || st.Errors[0].Key != "pushes.far.url" || st.Errors[0].File != k.file ||
			file.Path != k.file || file.Result != "partial" {
			t.Errorf("mistakes %v, %+v", st.Errors, file)
		}
		if generation > 4 {
			break
		}
		stop()
		k.write(t, k.opts.ConfigFile, quietSite) // another set than that of before
		k.start(t)
	}
	if err := k.remove("far"); err != nil {
		t.Error(err)
	}
	k.await(t, stateApplied, 6)
	if got := k.owner("up"); got != k.file {
		t.Errorf("it is %s's", got)
	}
}

// TestAPushInThePlaceOfOneWithAMistake: to remove it is to remove both.
func TestAPushInThePlaceOfOneWithAMistake(t *testing.T) {
	k := newKeeper(t)
	k.write(t, k.file, `{"pushes": {"far": {"camera": "gate", "url": "ftp://127.0.0.1:1/live/a"}}}`)
	k.start(t)
	k.await(t, statePartial, 1)
	if err := k.client.Do(t.Context(), http.MethodPost, "/v1/pushes", map[string]any{
		"name": "far", "camera": "gate", "url": "rtmp://127.0.0.1:1/live/a",
	}, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.remove("far"); err != nil {
		t.Error(err)
	}
	if got := k.owner("far"); got != api.ErrNoPush.Error() {
		t.Errorf("it runs on, and is %q's", got)
	}
	k.await(t, stateApplied, 2)
	if strings.Contains(read(t, k.file), "far") {
		t.Error("it is kept")
	}
}

// TestAKeptPushNamesACameraThatLasts: one that the API has added goes when nobody
// wants it.
func TestAKeptPushNamesACameraThatLasts(t *testing.T) {
	k := newKeeper(t)
	k.start(t)
	k.await(t, stateApplied, 1)
	source := map[string]string{"source": "rtsp://127.0.0.1:1/"}
	if err := k.client.Do(t.Context(), http.MethodPost, "/v3/config/paths/add/guest", source, nil); err != nil {
		t.Fatal(err)
	}
	if file, code := k.keepOf("guest", "up"); code != http.StatusBadRequest {
		t.Errorf("status %d, %q", code, file)
	}
	if _, err := os.Stat(k.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}
