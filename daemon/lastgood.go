package daemon

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"camrelay/daemon/config"
	"camrelay/daemon/durable"
)

// lastGoodFile is its name in the state directory.
const lastGoodFile = "last-good.json"

// maxLastGood bounds what is read of it: a set has few files of 1 MiB at most.
const maxLastGood = 64 << 20

// lastGood is the configuration that a start falls back on: the files as they
// were, so that secrets that they only name are looked up anew.
type lastGood struct {
	Generation int           `json:"generation"`
	Hash       string        `json:"hash"` // of the set that it was taken from
	Applied    time.Time     `json:"applied_at"`
	Files      []config.File `json:"files"`
	// Refused is the set that was reverted, and is not to be tried again.
	Refused *refusal `json:"refused,omitempty"`
}

// refusal is a set that was applied and reverted.
type refusal struct {
	Hash   string `json:"hash"`
	Reason string `json:"reason"`
}

// sealed is lastGood in its file. The sum finds what a disk has spoilt.
type sealed struct {
	SHA256 string          `json:"sha256"`
	Body   json.RawMessage `json:"body"`
}

// readLastGood returns what the directory holds, nil without an error if there
// is nothing.
func readLastGood(dir string) (*lastGood, error) {
	f, err := os.Open(filepath.Join(dir, lastGoodFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // there is nothing on a box's first start
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLastGood))
	if err != nil {
		return nil, err
	}
	return parseLastGood(text)
}

func parseLastGood(text []byte) (*lastGood, error) {
	var s sealed
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, errors.New("the file is damaged")
	}
	if s.SHA256 != sumOf(s.Body) {
		return nil, errors.New("the file is damaged: its sum differs")
	}
	g := &lastGood{}
	if err := json.Unmarshal(s.Body, g); err != nil || len(g.Files) == 0 {
		return nil, errors.New("the file is damaged")
	}
	return g, nil
}

// write keeps it in the directory, unless it is there.
func (g *lastGood) write(dir string) error {
	body, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	text, err := json.Marshal(sealed{sumOf(body), body})
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	if old, err := os.ReadFile(filepath.Join(dir, lastGoodFile)); err == nil && bytes.Equal(old, text) {
		return nil // flash wears
	}
	return durable.Replace(dir, lastGoodFile, text)
}

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// load makes a configuration of it. What it needs and cannot have any more, a
// secret or what an older version understood, is left out.
func (g *lastGood) load(opts config.Options) config.Result {
	set := &config.Set{Files: g.Files}
	r := set.Load(opts)
	if r.Config == nil {
		opts.Lenient, opts.SkipFiles = true, true
		r = set.Load(opts)
	}
	return r
}

// LastGood returns the configuration that a daemon with that state directory has
// applied last.
func LastGood(stateDir string, opts config.Options) (*config.Config, error) {
	g, err := readLastGood(stateDir)
	if err == nil && g == nil {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", filepath.Join(stateDir, lastGoodFile), err)
	}
	r := g.load(opts)
	if r.Config == nil {
		return nil, fmt.Errorf("the last good configuration is not good for this version: %w", r.Errors)
	}
	return r.Config, nil
}
