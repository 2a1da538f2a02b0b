package mediatest

import (
	"bytes"
	"strings"
	"sync"
)

// Log keeps what goroutines or a process write, for a test that reads it meanwhile.
// The zero value is empty.
type Log struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all of it.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Tail returns the last n bytes.
func (l *Log) Tail(n int) string {
	s := l.String()
	return s[max(0, len(s)-n):]
}

// Lines returns the lines that hold each of texts.
func (l *Log) Lines(texts ...string) (all []string) {
	for line := range strings.Lines(l.String()) {
		found := true
		for _, text := range texts {
			found = found && strings.Contains(line, text)
		}
		if found {
			all = append(all, line)
		}
	}
	return all
}
