package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/mesoslab/lab/mini"
)

// logger writes lines as glog does, which is how real agents log.
type logger struct {
	w     io.Writer
	quiet bool
	// file is where --log_dir keeps them too, as the container sees paths, and
	// kept that file; "" and nil without one.
	file string
	kept *os.File
}

func newLogger(w io.Writer, quiet bool) *logger {
	if w == nil {
		w = io.Discard
	}
	return &logger{w: w, quiet: quiet}
}

// keep begins a log file in dir, named as glog does, and makes the link
// mesos-slave.INFO to it. "" keeps none.
func (l *logger) keep(env mini.Env, dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(env.Path(dir), 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("mesos-slave.%s.log.INFO.%s.%d", env.Hostname, time.Now().Format("20060102-150405"), os.Getpid())
	f, err := os.OpenFile(env.Path(path.Join(dir, name)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	l.file, l.kept = path.Join(dir, name), f
	link := env.Path(path.Join(dir, "mesos-slave.INFO"))
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(name, link)
}

func (l *logger) close() {
	if l.kept != nil {
		l.kept.Close()
	}
}

func (l *logger) infof(format string, args ...any) { l.line('I', format, args) }

func (l *logger) warningf(format string, args ...any) { l.line('W', format, args) }

func (l *logger) errorf(format string, args ...any) { l.line('E', format, args) }

// line writes one whole line at once: several goroutines log. --quiet leaves
// only errors on the console.
func (l *logger) line(level byte, format string, args []any) {
	text := fmt.Appendf(nil, "%c%s slave] %s\n", level, time.Now().Format("0102 15:04:05.000000"), fmt.Sprintf(format, args...))
	if level == 'E' || !l.quiet {
		l.w.Write(text)
	}
	if l.kept != nil {
		l.kept.Write(text)
	}
}
