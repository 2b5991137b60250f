package computer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// drain is how long output is awaited of what a killed program has started.
const drain = time.Second

// maxOutput bounds what is kept of one program's output.
const maxOutput = 4 << 20

// run runs a program with words that do not depend on the user's language, and
// without questions of Vagrant's to other computers.
func run(ctx context.Context, program string, args ...string) (Output, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return Output{}, fmt.Errorf("%s: %w", program, ErrMissing)
	}
	var out, errOut limited
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environment(os.Environ())
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = drain
	ownGroup(cmd)
	err = cmd.Run()
	o := Output{Out: out.String(), Err: errOut.String()}
	if ctx.Err() != nil {
		return o, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), context.Cause(ctx))
	}
	if err != nil {
		return o, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, Brief(o.Err))
	}
	return o, nil
}

// environment drops an empty VAGRANT_LOG, which crashes Vagrant 2.3.
func environment(all []string) []string {
	var env []string
	for _, e := range all {
		if e != "VAGRANT_LOG=" {
			env = append(env, e)
		}
	}
	return append(env, "LC_ALL=C", "LANGUAGE=C", "VAGRANT_CHECKPOINT_DISABLE=1")
}

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Brief makes one line of at most 200 letters of what a program has said.
func Brief(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "\uFFFD")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:199]) + "…"
	}
	return text
}

// IsMissing reports whether err says that a program is not installed.
func IsMissing(err error) bool { return errors.Is(err, ErrMissing) }
