package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"camrelay/daemon/auth"
	"camrelay/daemon/config"
)

// userAdd is one call of camrelay user add.
type userAdd struct {
	console

	files          configFlags
	name           string
	role, cameras  string
	token, choose  bool
	secret, hashes string // what was made, and the keys for the file
}

func setupUserAdd(fs *flag.FlagSet) runner {
	u := &userAdd{}
	u.files.add(fs)
	fs.StringVar(&u.role, "role", string(config.RoleViewer), "viewer, operator or admin")
	fs.StringVar(&u.cameras, "cameras", "", "`names` with commas between of what it may see (default: all)")
	u.addSecret(fs)
	return u.run
}

// run writes a new user into a drop-in file of its own, which the daemon
// reads by itself, and prints the password or token.
func (u *userAdd) run(ctx context.Context, c console, args []string) error {
	u.console, u.name = c, args[0]
	if wrong := u.wrong(); wrong != "" {
		fmt.Fprintln(c.err, "camrelay:", wrong)
		return errUsage
	}
	if err := u.make(ctx); err != nil {
		return err
	}
	file, err := u.save()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s is a new %s, in %s\n", u.name, u.role, file)
	if !u.choose {
		fmt.Fprintln(c.out, u.secret)
	}
	return nil
}

// wrong returns what is wrong with the command line, empty if nothing is.
func (u *userAdd) wrong() string {
	switch {
	case !userName.MatchString(u.name):
		return "the NAME of a user has 1 to 64 of letters, digits, _, ., @ and -"
	case !isRole(u.role):
		return "-role is viewer, operator or admin"
	case u.token && u.choose:
		return "-token makes a token and -choose reads a password: give one of them"
	case u.role == string(config.RoleAdmin) && u.cameras != "":
		return "an admin sees all cameras: leave -cameras out, or give another -role"
	case u.cameras != "" && slices.ContainsFunc(u.names(), func(s string) bool { return !cameraName.MatchString(s) }):
		return "-cameras is names of cameras with commas between: a-z, 0-9, _ and -"
	}
	return ""
}

// userName is the form of names of users, cameraName that of paths.
var (
	userName   = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
	cameraName = regexp.MustCompile(`^[a-z0-9_/-]{1,64}$`)
)

// names are the cameras that the user may see.
func (u *userAdd) names() []string {
	all := strings.Split(u.cameras, ",")
	for i, name := range all {
		all[i] = strings.TrimSpace(name)
	}
	return all
}

func isRole(s string) bool {
	switch config.Role(s) {
	case config.RoleViewer, config.RoleOperator, config.RoleAdmin:
		return true
	}
	return false
}

// make makes the password or token, or reads it.
func (u *userAdd) make(ctx context.Context) error {
	switch {
	case u.token:
		token, sum := auth.NewToken()
		u.secret, u.hashes = token, fmt.Sprintf("    token_hash: \"%s\"\n", sum)
	case u.choose:
		password, err := readPassword(ctx, u.console)
		if err != nil {
			return err
		}
		u.secret = password
	default:
		u.secret = rand.Text()
	}
	if !u.token {
		u.hashes = fmt.Sprintf("    password_hash: \"%s\"\n", auth.Hash(u.secret))
	}
	u.hashes += fmt.Sprintf("    digest_hash: \"%s\"\n", auth.DigestHash(u.name, u.secret))
	return nil
}

// text is the file that holds the user.
func (u *userAdd) text() string {
	var b strings.Builder
	b.WriteString(userHead + "users:\n")
	fmt.Fprintf(&b, "  - name: \"%s\"\n    role: %s\n%s", u.name, u.role, u.hashes)
	if u.cameras != "" {
		fmt.Fprintf(&b, "    cameras: [\"%s\"]\n", strings.Join(u.names(), `", "`))
	}
	return b.String()
}

// file is the name of the user's drop-in.
func (u *userAdd) file() string { return "user-" + u.name + ".yaml" }

// save writes the file of a new user.
func (u *userAdd) save() (file string, err error) {
	file = filepath.Join(u.files.options().Dirs[0], u.file())
	if _, err := os.Stat(file); err == nil {
		return "", fmt.Errorf("%s is there already: camrelay passwd gives a user another password", file)
	}
	return file, u.write(file, u.text())
}

// write writes the file beside the other drop-ins, where only those can read it
// who read them, unless the whole would be wrong with it.
func (u *userAdd) write(file, text string) error {
	opts := u.files.options()
	opts.CredentialsDir, opts.Elsewhere = os.Getenv("CREDENTIALS_DIRECTORY"), true
	set, err := config.Read(opts).With(filepath.Base(file), file, []byte(text), opts)
	if err != nil {
		return err
	}
	r := set.Load(opts)
	if r.Config == nil || len(r.LeftOut) > 0 {
		fmt.Fprint(u.err, config.Format(r.Errors, false))
		return errInvalid
	}
	theirs := slices.DeleteFunc(r.Config.Warnings, func(w *config.Error) bool { return w.File != file })
	fmt.Fprint(u.err, config.FormatWarnings(theirs, false)) // a camera that there is not
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return writeBeside(dir, filepath.Base(file), []byte(text))
}

// writeBeside writes a file at once and whole, for the owner of the directory
// and for its group to read.
func writeBeside(dir, name string, text []byte) (err error) {
	f, err := os.CreateTemp(dir, ".user-") // drop-ins do not begin so
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if st, e := os.Stat(dir); e == nil && err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			err = f.Chown(int(sys.Uid), int(sys.Gid))
		}
	}
	if err == nil {
		err = f.Chmod(0o640)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
