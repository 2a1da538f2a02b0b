package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// userHead is the first line of the files that user add makes.
const userHead = "# Made by \"camrelay user add\". Removing the file removes the user.\n"

func setupPasswd(flags *flag.FlagSet) runner {
	u := &userAdd{}
	u.files.add(flags)
	u.addSecret(flags)
	return u.change
}

// addSecret adds the flags that say what lets the user in.
func (u *userAdd) addSecret(fs *flag.FlagSet) {
	fs.BoolVar(&u.token, "token", false, "make a token, for a player or a program, instead of a password")
	fs.BoolVar(&u.choose, "choose", false, "read the password, from the terminal or standard input, instead of making one")
}

// change gives a user that user add has made another password or token, in the
// place of all that has let that user in.
func (u *userAdd) change(ctx context.Context, c console, args []string) error {
	u.console, u.name = c, args[0]
	if u.token && u.choose || !userName.MatchString(u.name) {
		fmt.Fprintln(c.err, "usage: camrelay passwd NAME [FLAGS], where NAME is of a user that camrelay user add has made")
		return errUsage
	}
	file := filepath.Join(u.files.options().Dirs[0], u.file())
	before, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: camrelay user add makes a user; for one that another file names, "+
			"put there what camrelay user hash prints", file)
	}
	if err != nil {
		return err
	}
	if err := u.make(ctx); err != nil {
		return err
	}
	text, ok := rehashed(string(before), u.hashes)
	if !ok {
		return fmt.Errorf("%s is not as camrelay user add has made it: put there what camrelay user hash prints", file)
	}
	if err := u.write(file, text); err != nil {
		return err
	}
	what := "password"
	if u.token {
		what = "token"
	}
	fmt.Fprintf(c.err, "%s has a new %s, in %s; what let %s in before does no longer\n", u.name, what, file, u.name)
	if !u.choose {
		fmt.Fprintln(c.out, u.secret)
	}
	return nil
}

// rehashed returns the text of a user's file with other hashes, false if it is not
// of the form that user add gives it.
func rehashed(text, hashes string) (string, bool) {
	if !strings.HasPrefix(text, userHead) || strings.Count(text, "- name:") != 1 {
		return "", false
	}
	var b strings.Builder
	found := false
	for line := range strings.Lines(text) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "password_hash", "token_hash", "digest_hash":
			continue
		case "token_hashes", "digest_hashes":
			return "", false
		}
		b.WriteString(line)
		if key == "role" {
			found = true
			b.WriteString(hashes)
		}
	}
	return b.String(), found
}
