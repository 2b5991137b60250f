package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/supervise"
)

// runner runs HAProxy under supervisors, in one folder.
type runner struct {
	launcher mini.Launcher
	program  string
	dir      string // absolute
	count    int
}

// start starts it with arguments; output is the file, in the folder, that it
// writes to.
func (r *runner) start(ctx context.Context, output string, args ...string) (id proctab.ID, result string, err error) {
	r.count++
	file := func(kind string) string { return filepath.Join(r.dir, fmt.Sprintf("%d.%s", r.count, kind)) }
	o := supervise.Order{ // the master starts itself anew by its argv[0]
		Path: r.program, Argv: append([]string{r.program}, args...), Dir: r.dir,
		Stdout: filepath.Join(r.dir, output), Stderr: filepath.Join(r.dir, output),
		Claim: file("claim"), Result: file("result"),
	}
	if err := o.Write(file("order")); err != nil {
		return id, "", err
	}
	id, err = r.launcher.Start(ctx, fmt.Sprintf("haproxy-%d-%d", os.Getpid(), r.count)+"-"+filepath.Base(r.dir), file("order"))
	return id, o.Result, err
}

// run runs it until it ends and returns what it said. An exit code that is not
// 0 is an error with the alerts that explain it; only then are both returned.
func (r *runner) run(ctx context.Context, args ...string) (string, error) {
	output := "output"
	defer os.Remove(filepath.Join(r.dir, output))
	id, result, err := r.start(ctx, output, args...)
	if err != nil {
		return "", err
	}
	if err := r.launcher.Wait(ctx, id); err != nil {
		return "", errors.Join(err, r.launcher.Stop(context.WithoutCancel(ctx), id, 0))
	}
	r.tidy()
	said, err := os.ReadFile(filepath.Join(r.dir, output))
	if err != nil {
		return "", err
	}
	end, err := supervise.ReadResult(result)
	if err != nil {
		return "", err
	}
	_ = os.Remove(result)
	if end.Code() != 0 {
		return string(said), fmt.Errorf("haproxy %s %s: %s", args[0], end, alerts(string(said)))
	}
	return string(said), nil
}

// tidy removes the order and the claim of a run that is over.
func (r *runner) tidy() {
	for _, kind := range []string{"order", "claim"} {
		_ = os.Remove(filepath.Join(r.dir, fmt.Sprintf("%d.%s", r.count, kind)))
	}
}

// leftovers ends what a process before has left in the folder, and waits for
// its end: it holds ports.
func (r *runner) leftovers(ctx context.Context) error {
	claims, err := filepath.Glob(filepath.Join(r.dir, "*.claim"))
	if err != nil {
		return err
	}
	for _, name := range claims {
		id, err := supervise.Claimed(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && id.PID != 0 {
			err = errors.Join(r.launcher.Stop(ctx, id, 0), r.launcher.Wait(ctx, id))
		}
		if err != nil {
			return fmt.Errorf("end the HAProxy of %s: %w", name, err)
		}
	}
	return nil
}

// alerts are the lines of HAProxy's output that say what is wrong.
func alerts(said string) string {
	var kept []string
	for line := range strings.Lines(said) {
		if severity, text := logLine(line); severity == "ALERT" {
			kept = append(kept, text)
		}
	}
	if len(kept) == 0 {
		return strings.Join(strings.Fields(said), " ")
	}
	return strings.Join(kept, "; ")
}

// logLine takes a line of HAProxy's apart: "[ALERT]    (123) : text", before
// 2.4 "[ALERT] 333/041547 (123) : text".
func logLine(line string) (severity, text string) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "[")
	if !ok {
		return "", strings.TrimSpace(line)
	}
	severity, text, _ = strings.Cut(rest, "]")
	if _, after, ok := strings.Cut(text, ") : "); ok {
		text = after
	}
	return severity, strings.TrimSpace(text)
}
