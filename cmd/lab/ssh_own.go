package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
)

// ownSSH is for computers without an ssh command. tty asks for a terminal for
// a command, too; a shell gets one wherever standard input is one.
func (a *app) ownSSH(ctx context.Context, m lab.Machine, command []string, tty bool) (err error) {
	host, err := provision.Connect(ctx, m)
	if err != nil {
		return err
	}
	defer host.Close()
	stop := context.AfterFunc(ctx, func() { host.SSH().Close() }) // whatever waits below ends
	defer stop()
	session, err := host.SSH().NewSession()
	if err != nil {
		return fmt.Errorf("open session on %s: %w", m.Name, err)
	}
	defer session.Close()
	session.Stdin, session.Stdout, session.Stderr = a.in, a.out, a.err
	if len(command) == 0 || tty {
		leave, err := a.handTerminal(ctx, session)
		if err != nil {
			return err
		}
		defer leave()
	}
	if len(command) == 0 {
		err = session.Shell()
	} else {
		err = session.Start(commandLine(command))
	}
	if err == nil {
		err = session.Wait()
	}
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return codeError(exit.ExitStatus())
	}
	fmt.Fprint(a.err, "\r\n") // the machine has left the cursor anywhere
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &lab.Error{
		ID: "connection-lost", Op: "ssh", Machine: m.Name, Err: cmp.Or(host.Err(), err),
		Advice: "lab status shows how it is; after a fault, lab heal gives it power back",
	}
}

// commandLine is what the words after the machine's name mean: one word may be
// a whole command line.
func commandLine(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return provision.Quote(words...)
}

// handTerminal gives the session the terminal that standard input is, if it is
// one: every key goes to the machine, and it knows the size. leave gives the
// terminal back as it was; it is called on every way out.
func (a *app) handTerminal(ctx context.Context, session *ssh.Session) (leave func(), err error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}, nil
	}
	fd := int(f.Fd())
	width, height, err := term.GetSize(fd)
	if err != nil || width == 0 || height == 0 {
		width, height = 80, 24
	}
	name, _ := a.getenv("TERM")
	if err := session.RequestPty(cmp.Or(name, "xterm"), height, width, ssh.TerminalModes{}); err != nil {
		return nil, fmt.Errorf("ask for a terminal: %w", err)
	}
	old, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("prepare terminal: %w", err)
	}
	following, stop := context.WithCancel(ctx)
	go followWindow(following, func() {
		if w, h, err := term.GetSize(fd); err == nil {
			_ = session.WindowChange(h, w) // a session that has ended needs no size
		}
	})
	return func() {
		stop()
		if err := term.Restore(fd, old); err != nil {
			fmt.Fprintf(a.err, "lab: the terminal could not be restored (%v): type reset\r\n", err)
		}
	}, nil
}
