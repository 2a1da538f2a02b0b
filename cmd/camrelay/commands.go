package main

import (
	"context"
	"flag"
	"fmt"
)

// commands is the table of all commands.
func commands() []command {
	return []command{
		{
			name: "run", summary: "run the daemon in the foreground", setup: setupRun,
			about: "Below systemd it tells when it is ready, how it is (\"7/8 cameras warm, 2/2 pushes up, config #41\", " +
				"shown by systemctl status) and that it is alive.",
		},
		{
			name: "check", summary: "check the configuration, and tell what an edit would touch", setup: setupCheck,
			rewrite: joined,
			about: "It looks at the files on the disk and needs no daemon. -file checks another file as if it had been " +
				"saved, under its own name or under that of -as; -diff tells what the change would touch, of what runs or " +
				"of the configuration in FILE.",
		},
		{
			name: "status", summary: "tell how cameras and pushes are", setup: setupStatus,
			about: "It exits with 0 if the daemon answers, however the cameras are.",
		},
		{
			name: "config cat", summary: "print the files in the order in which they are read, without secrets",
			setup: setupConfigCat,
			about: "Values that may be secret are printed as ***, which the daemon takes for no value.",
		},
		{
			name: "config diff", summary: "tell what taking the files as they are would touch", setup: setupConfigDiff,
			about: "As check -diff.",
		},
		{name: "config schema", summary: "print the JSON schema of the files", setup: setupConfigSchema},
		{
			name: "config explain", args: "[KEY]", summary: "tell what a key of the files may be", setup: setupConfigExplain,
			about: "KEY is a path of keys like cameras.NAME.url; without it the sections are listed.",
		},
		{
			name: "events", summary: "print what has happened lately", setup: setupEvents(false),
			about: "The daemon holds the last 1000 events.",
		},
		{name: "tail", summary: "print what happens, from now on, until Ctrl-C", setup: setupEvents(true)},
		{name: "sessions", summary: "list who reads, what is pulled and what is pushed", setup: setupSessions},
		{
			name: "kick", args: "ID", summary: "end a session", setup: setupKick,
			about: "A viewer may come back; a camera or push stays stopped for terminate.hold_off.",
		},
		{name: "keepalive list", summary: "list the keepalives", setup: setupKeepaliveList},
		{
			name: "keepalive add", args: "CAMERA", summary: "keep a camera warm", setup: setupKeepaliveAdd,
			about: "It prints the keepalive's ID.",
		},
		{name: "keepalive remove", args: "ID", summary: "let go of a keepalive", setup: setupKeepaliveRemove},
		{
			name: "push test", args: "NAME", summary: "let a push try at once, and tell how it goes", setup: setupPushTest,
			about: "It exits with 0 once media flows, and with 1 if it does not.",
		},
		{
			name: "probe", args: "URL", summary: "tell what a camera sends", setup: setupProbe,
			about: "It reads the camera as the daemon would, until some key frames have come, and needs no daemon.",
		},
		{
			name: "user add", args: "NAME", summary: "add a user with a new password, and print it", setup: setupUserAdd,
			about: "The user is written into a drop-in file of its own, conf.d/user-NAME.yaml, which the daemon reads by " +
				"itself. A new box lets in nobody from elsewhere until there is a user.",
		},
		{
			name: "passwd", args: "NAME", summary: "give a user another password, and print it", setup: setupPasswd,
			about: "The user is one that user add has made. No password or token of before lets that user in any more, " +
				"and links made with it end.",
		},
		{
			name: "link", args: "[CAMERA]", summary: "make a link by which others may watch for a while", setup: setupLink,
			about: "It is the link of the user whose token the file of -token-file holds, for the camera's playlist, or " +
				"for the page with all cameras that the user may see, and ends with that token at the latest.",
		},
		{
			name: "user hash", summary: "read a password, print its password_hash for the section users", setup: setupUserHash,
			about: "It is read from the terminal, twice, or from standard input.",
		},
		{
			name: "user token", summary: "make a token for a player or a program, print it and its token_hash",
			setup: setupUserToken,
		},
		{
			name: "bundle", args: "[FILE]", summary: "collect what helps to find a fault, without secrets", setup: setupBundle,
			about: "FILE is a .tar.gz for those who look into it; by default camrelay-bundle.tar.gz. It holds status, " +
				"events, sessions, the journal and the files without secrets, and what the system says of itself.",
		},
		{
			name: "selftest", summary: "test this box, and all of camrelay with a synthetic camera", setup: setupSelftest,
			about: "It looks at hardware, clock, library, limits, configuration, rights, ports and tmpfs, then lets a daemon " +
				"of its own read a camera of its own and receives the pictures by each protocol. It exits with 1 if " +
				"something is wrong.",
		},
		{name: "demo", summary: "run the daemon on two synthetic cameras", setup: setupDemo},
		{name: "completion", summary: "print the completion of bash", setup: setupCompletion},
		{name: "version", summary: "print the version", setup: func(*flag.FlagSet) runner {
			return func(_ context.Context, c console, _ []string) error {
				_, err := fmt.Fprintln(c.out, version)
				return err
			}
		}},
	}
}
