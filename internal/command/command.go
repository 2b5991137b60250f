package command

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Command is a program with its arguments.
type Command struct {
	Path string // of the program
	Args []string
	Dir  string    // to run in; "" is the current folder
	Env  []string  // nil is this process's own
	Out  io.Writer // takes standard output, where that is no text
	// OwnMounts gives the program a mount namespace of its own: not even after
	// a SIGKILL does a mount of it stay. Only root on Linux can have that; for
	// everybody else nothing happens.
	OwnMounts bool
}

// patience is how long a program may take to clean up after a SIGTERM.
const patience = 30 * time.Second

// Run runs the program and gives each line of its output (without Out) and of
// its standard error to said, carriage returns counting as ends of lines. When
// ctx ends, the program and what it has started get a SIGTERM, time to clean
// up, and then a SIGKILL; the error is the cause of ctx. The error of a program
// that failed ends with the last lines that it said.
func (c Command) Run(ctx context.Context, said func(line string)) error {
	lines := &lineWriter{said: said}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdout, cmd.Stderr = c.Out, lines
	if c.Out == nil {
		cmd.Stdout = lines
	}
	separate(cmd, c.OwnMounts)
	cmd.Cancel = func() error { return terminate(cmd) }
	cmd.WaitDelay = patience
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; it said: %s", filepath.Base(c.Path), err, strings.Join(lines.last, " | "))
	}
	return nil
}
