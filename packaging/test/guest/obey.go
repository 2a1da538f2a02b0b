package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// exitTrailer is where the exit code of a script stands behind its output.
const exitTrailer = "Exit-Code"

// exitError is the exit code of a script that is not 0.
type exitError int

func (e exitError) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// obey runs the scripts that it is sent.
func obey(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := http.Server{Handler: http.HandlerFunc(runScript), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	return srv.Serve(ln)
}

func runScript(w http.ResponseWriter, r *http.Request) {
	script, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Trailer", exitTrailer)
	cmd := exec.CommandContext(r.Context(), "/bin/bash", "-c", string(script))
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second // what it has left running may keep its output
	err = cmd.Run()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		fmt.Fprintln(w, err)
		code = 127
	}
	w.Header().Set(exitTrailer, strconv.Itoa(code))
}

// tell has a script run by the guest at an address, and ends as it does.
func tell(ctx context.Context, addr, script string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/", strings.NewReader(script))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	out := bufio.NewWriter(os.Stdout)
	if _, err := io.Copy(out, resp.Body); err != nil {
		return errors.Join(err, out.Flush())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	code, err := strconv.Atoi(resp.Trailer.Get(exitTrailer))
	if err != nil {
		return fmt.Errorf("the guest does not say how the script has ended: %w", err)
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}
