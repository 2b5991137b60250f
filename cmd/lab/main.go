// Command lab turns one computer into the platform of the article
// "mesos-marathon-platform" (three machines, Docker, ZooKeeper, Mesos,
// Marathon, Marathon-LB, nginx), breaks it on purpose, watches it heal and
// says what it measured.
//
// This package is the command line and nothing else: flags in, calls into the
// other rooms, output. It is also where the mini programs and the embedded
// machines start, which are this same binary under other words.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/ui"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "mini":
			return runMini(args[1:], environ, stdin, stdout, stderr)
		case "machine":
			return runMachine(args[1:], stderr)
		}
	}
	ctx, killer := interruptible(context.Background())
	defer killer.stop()
	a := &app{environ: environ, in: stdin, out: stdout, err: stderr, killer: killer}
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if a.quiet(err) && ctx.Err() == nil {
		return exitCode(ctx, err)
	}
	if ctx.Err() != nil {
		err = &lab.Error{
			ID: "interrupted", Op: "interrupted", Err: err,
			Advice: "give the same command again; lab status shows what is there, lab destroy removes it",
		}
	}
	if errors.Is(err, syscall.ENOSPC) && lab.ErrorID(err) == "" {
		err = &lab.Error{ID: "disk-full", Err: err, Advice: "make room there, or choose another place with --state-dir; the same command then goes on where it stopped"}
	}
	if a.output == "json" || a.output == "jsonl" {
		ui.JSONError(stdout, err)
	}
	ui.PrintError(stderr, err)
	return exitCode(ctx, err)
}

// exitCode maps an error to the documented exit codes.
func exitCode(ctx context.Context, err error) int {
	var code codeError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil:
		return 130
	case errors.Is(err, lab.ErrUsage):
		return 2
	case errors.Is(err, lab.ErrExpectation):
		return 3
	case errors.Is(err, lab.ErrInconclusive):
		return 4
	}
	return 1
}

// codeError is the exit code of a command run for the user (lab ssh node2
// false), passed on without a word.
type codeError int

func (codeError) Error() string { return "remote command failed" }
