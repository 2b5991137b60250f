package shell

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// journalctl shows the log of a service; docker has one.
func journalctl(ctx context.Context, p *Proc) int {
	o, rest, ok := p.options("u:fn:exbrqaN unit= follow lines= no-pager no-tail pager-end catalog boot reverse quiet all output= o:")
	if !ok {
		return 1
	}
	unit := strings.TrimSuffix(o["u"]+o["unit"], ".service")
	if len(rest) > 0 {
		return p.errorf("Failed to add match '%s': Invalid argument", rest[0])
	}
	if unit != "" && unit != "docker" {
		p.printf("-- No entries --\n")
		return 0
	}
	count := -1
	if text, given := o["n"]; given || o.has("lines") {
		n, err := strconv.Atoi(text + o["lines"])
		if err != nil || n < 0 {
			return p.errorf("Failed to parse lines '%s'", text+o["lines"])
		}
		count = n
	}
	follow := o.has("f", "follow")
	if follow && count < 0 {
		count = 10
	}
	f, err := p.Files().Open(dockerLog)
	if err != nil {
		if os.IsNotExist(err) {
			p.printf("-- No entries --\n")
			return 0
		}
		return p.failed(dockerLog, err)
	}
	defer f.Close()
	text, err := p.journal(f, count, o.has("r", "reverse"))
	if err != nil {
		return p.failed(dockerLog, err)
	}
	switch {
	case follow:
		io.WriteString(p.Stdout, text)
		err = p.followJournal(ctx, f)
	case o.has("no-pager"):
		_, err = io.WriteString(p.Stdout, text)
	default:
		err = p.page(ctx, text)
	}
	if err != nil && ctx.Err() == nil {
		return p.failed(dockerLog, err)
	}
	return 0
}

const dockerLog = "/var/log/docker.log"

// journal is the end of a log in journalctl's form; a negative count is all.
func (p *Proc) journal(r io.Reader, count int, reverse bool) (string, error) {
	var all []string
	err := lines(r, func(l string) error { all = append(all, p.journalLine(l)); return nil })
	if count >= 0 {
		all = all[max(0, len(all)-count):]
	}
	if reverse {
		slices.Reverse(all)
	}
	return strings.Join(all, ""), err
}

func (p *Proc) followJournal(ctx context.Context, r io.Reader) error {
	for {
		if err := lines(r, func(l string) error { _, err := io.WriteString(p.Stdout, p.journalLine(l)); return err }); err != nil {
			return err
		}
		sleepFor(ctx, followEvery)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// journalLine puts journald's date, host and program before a line of dockerd.
func (p *Proc) journalLine(l string) string {
	at := ""
	if text, ok := strings.CutPrefix(l, `time="`); ok {
		stamp, _, _ := strings.Cut(text, `"`)
		if t, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			at = t.Format("Jan 02 15:04:05 ")
		}
	}
	return at + p.Hostname() + " dockerd: " + l + "\n"
}
