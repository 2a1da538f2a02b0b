package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"camrelay/daemon/durable"
)

// MachineFile is the name in the state directory of the file that the API writes:
// what it was told to keep. It is the last and the weakest of the files.
const MachineFile = "api.yaml"

// machineHead says in the file what it is.
const machineHead = "# What the API was told to keep. It is edited there; what other files name wins.\n"

// machine edits that file.
type machine struct {
	dir string

	mu sync.Mutex // guards the file
}

func (m *machine) path() string { return filepath.Join(m.dir, MachineFile) }

// kept is what the file holds.
type kept struct {
	Pushes map[string]json.RawMessage `json:"pushes"`
}

// edit lets change edit what the file holds, and brings it to the disk unless
// change has an error.
func (m *machine) edit(change func(k *kept) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := kept{Pushes: make(map[string]json.RawMessage)}
	text, err := os.ReadFile(m.path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", m.path(), err)
	}
	if text = bytes.TrimPrefix(text, []byte(machineHead)); len(text) > 0 && json.Unmarshal(text, &k) != nil {
		return fmt.Errorf("%s is not as the API has written it; mend or remove it", m.path())
	}
	if err := change(&k); err != nil {
		return err
	}
	if text, err = json.MarshalIndent(k, "", "  "); err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("cannot create the state directory: %w", err)
	}
	if err := durable.Replace(m.dir, MachineFile, append([]byte(machineHead), append(text, '\n')...)); err != nil {
		return fmt.Errorf("cannot write %s: %w", m.path(), err)
	}
	return nil
}
