package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"camrelay/daemon/api"
)

// apiFlags are those of commands that ask a daemon.
type apiFlags struct {
	runtime, where, tokenFile string
	json                      bool
}

func (a *apiFlags) add(fs *flag.FlagSet) {
	fs.StringVar(&a.runtime, "runtime-dir", runtimeDir, "runtime `directory` of the daemon, where its socket is")
	fs.StringVar(&a.where, "api", "", "`URL` of another box's API (default: the socket)")
	fs.StringVar(&a.tokenFile, "token-file", "", "`file` that holds the token to present; root needs none at the socket")
}

// addJSON adds the flags of commands that print what they are told.
func (a *apiFlags) addJSON(fs *flag.FlagSet) {
	a.add(fs)
	fs.BoolVar(&a.json, "json", false, "print JSON")
}

// client returns a client of the daemon.
func (a *apiFlags) client() (*api.Client, error) {
	token := ""
	if a.tokenFile != "" {
		text, err := os.ReadFile(a.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the token: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	where := a.where
	if where == "" {
		where = filepath.Join(a.runtime, "api.sock")
	} else if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		return nil, errors.New("-api wants a URL like http://127.0.0.1:9997")
	}
	return api.NewClient(where, token), nil
}

// asks returns the runner of a command that asks for path and prints what comes,
// by print unless JSON is wanted.
func asks[T any](a *apiFlags, path func(args []string) string, print func(c console, v T) error) runner {
	return func(ctx context.Context, c console, args []string) error {
		client, err := a.client()
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(ctx, c, client, path(args))
		}
		var v T
		if err := client.Get(ctx, path(args), &v); err != nil {
			return err
		}
		return print(c, v)
	}
}

// printJSON prints an answer of the API as it is, with indentation.
func printJSON(ctx context.Context, c console, client *api.Client, path string) error {
	body, err := client.Open(ctx, http.MethodGet, path, &bytes.Buffer{})
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("cannot read the API's answer: %w", err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return fmt.Errorf("cannot read the API's answer: %w", err)
	}
	_, err = b.WriteTo(c.out)
	return err
}

// at returns the runner's path where arguments do not matter.
func at(path string) func([]string) string { return func([]string) string { return path } }

// clean replaces what would move the cursor, or worse.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// cell is a text of a table, and its colour: 0, or a code of ANSI's.
type cell struct {
	text  string
	color int
}

// The colours of states.
const (
	green  = 32
	yellow = 33
	red    = 31
)

// plain makes cells without colours.
func plainCells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// printTable prints rows in columns, in colours if c.out is a terminal.
func printTable(c console, rows [][]cell) error {
	colors := isTerminal(c.out)
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i].text = clean(strings.ReplaceAll(row[i].text, "\n", " "))
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, one := range row {
			text := one.text
			if colors && one.color != 0 {
				text = fmt.Sprintf("\x1b[%dm%s\x1b[0m", one.color, text)
			}
			line.WriteString(text)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(one.text)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(c.out, b.String())
	return err
}

// isTerminal tells whether somebody looks at w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := terminal(file)
	return err == nil
}
