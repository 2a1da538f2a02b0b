package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"camrelay/daemon/auth"
)

func setupUserHash(fs *flag.FlagSet) runner {
	name := fs.String("name", "", "`name` of the user: print the digest_hash too, for RTSP digest")
	return func(ctx context.Context, c console, _ []string) error {
		password, err := readPassword(ctx, c)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "password_hash: \"%s\"\n", auth.Hash(password))
		return printDigest(c, *name, password)
	}
}

func setupUserToken(fs *flag.FlagSet) runner {
	name := fs.String("name", "", "`name` of the user: print the digest_hash too, for RTSP digest")
	return func(_ context.Context, c console, _ []string) error {
		token, sum := auth.NewToken()
		fmt.Fprintf(c.out, "token: %s\ntoken_hash: \"%s\"\n", token, sum)
		return printDigest(c, *name, token)
	}
}

// printDigest prints what a user of that name who logs in by digest needs; nothing
// without a name.
func printDigest(c console, name, secret string) error {
	if name == "" {
		return nil
	}
	_, err := fmt.Fprintf(c.out, "digest_hash: \"%s\"\n", auth.DigestHash(name, secret))
	return err
}

// Bounds of passwords: in characters, and in bytes that a login may present.
const (
	minPassword = 8
	maxPassword = 1024
)

// readPassword reads a password from the terminal, twice and without showing
// it, or the one line of another input.
func readPassword(ctx context.Context, c console) (string, error) {
	var password string
	file, ok := c.in.(*os.File)
	if _, err := terminal(file); ok && err == nil {
		if password, err = ask(ctx, c, file, "Password: "); err != nil {
			return "", err
		}
		again, err := ask(ctx, c, file, "Again: ")
		if err != nil {
			return "", err
		}
		if again != password {
			return "", errors.New("the two are not the same")
		}
	} else {
		all, err := io.ReadAll(io.LimitReader(bufio.NewReader(c.in), maxPassword+3))
		if err != nil {
			return "", fmt.Errorf("cannot read the password: %w", err)
		}
		password = strings.TrimSuffix(strings.TrimSuffix(string(all), "\n"), "\r")
	}
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return "", fmt.Errorf("a password has at least %d characters", minPassword)
	case len(password) > maxPassword || strings.ContainsAny(password, "\r\n\x00"):
		return "", fmt.Errorf("a password is one line of at most %d bytes", maxPassword)
	}
	return password, nil
}

// terminal returns the settings of a terminal, an error if file is none.
func terminal(file *os.File) (*unix.Termios, error) {
	if file == nil {
		return nil, os.ErrInvalid
	}
	return unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
}

// ask reads a line from a terminal that does not show it.
func ask(ctx context.Context, c console, file *os.File, prompt string) (string, error) {
	shown, err := terminal(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	fd, hidden := int(file.Fd()), *shown
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden); err != nil {
		return "", fmt.Errorf("cannot hide the password: %w", err)
	}
	defer func() {
		// If this fails there is nothing left to try.
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, shown)
		fmt.Fprintln(c.err)
	}()
	fmt.Fprint(c.err, prompt)
	return readLine(ctx, fd)
}

// readLine reads a line from a terminal, which hands them out whole. It looks up
// now and then, so that Ctrl-C ends it.
func readLine(ctx context.Context, fd int) (string, error) {
	const lookUp = 200 * time.Millisecond
	line := make([]byte, maxPassword+2)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(lookUp.Milliseconds()))
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err == nil {
			n, err = unix.Read(fd, line)
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("cannot read the password: %w", err)
		}
		return strings.TrimRight(string(line[:n]), "\r\n"), nil
	}
	return "", ctx.Err()
}
