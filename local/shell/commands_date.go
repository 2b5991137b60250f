package shell

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// strftime knows the letters people use in scripts.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, known := map[byte]string{
			'Y': "2006", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'M': "04", 'S': "05", 'y': "06", 'j': "002", 'Z': "MST", 'z': "-0700",
			'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': time.ANSIC,
			'I': "03", 'p': "PM",
		}[format[i]]
		switch {
		case known:
			b.WriteString(t.Format(layout))
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == 'N':
			fmt.Fprintf(&b, "%09d", t.Nanosecond())
		case format[i] == '3' && i+1 < len(format) && format[i+1] == 'N':
			i++
			fmt.Fprintf(&b, "%03d", t.Nanosecond()/1e6)
		case format[i] == 'n':
			b.WriteByte('\n')
		case format[i] == '%':
			b.WriteByte('%')
		default:
			b.WriteString("%" + format[i:i+1])
		}
	}
	return b.String()
}

func date(_ context.Context, p *Proc) int {
	o, rest, ok := p.options("uRI iso-8601= rfc-3339=")
	if !ok {
		return 1
	}
	t := time.Now()
	if o.has("u") {
		t = t.UTC()
	}
	switch {
	case len(rest) > 0 && strings.HasPrefix(rest[0], "+"):
		p.printf("%s\n", strftime(rest[0][1:], t))
	case len(rest) > 0:
		return p.errorf("cannot set date: Operation not permitted")
	case o.has("R"):
		p.printf("%s\n", t.Format(time.RFC1123Z))
	case o.has("I"):
		p.printf("%s\n", t.Format(time.DateOnly))
	default:
		p.printf("%s\n", t.Format(time.UnixDate))
	}
	return 0
}

func uptime(_ context.Context, p *Proc) int {
	o, _, ok := p.options("ps pretty since")
	switch {
	case !ok:
		return 1
	case o.has("p", "pretty"):
		p.printf("up %s\n", upFor(time.Since(p.info().Boot)))
	case o.has("s", "since"):
		p.printf("%s\n", p.info().Boot.Format(time.DateTime))
	default:
		p.printf("%s", p.uptimeLine())
	}
	return 0
}

// uptimeLine has no load average: a machine that is one process knows none.
func (p *Proc) uptimeLine() string {
	return fmt.Sprintf(" %s up %s\n", time.Now().Format(time.TimeOnly), upFor(time.Since(p.info().Boot)))
}

func upFor(d time.Duration) string {
	minutes := int(d.Minutes())
	switch days := minutes / 60 / 24; {
	case minutes < 1:
		return fmt.Sprintf("%d sec", int(d.Seconds()))
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case days > 0:
		return fmt.Sprintf("%d days, %2d:%02d", days, minutes/60%24, minutes%60)
	}
	return fmt.Sprintf("%2d:%02d", minutes/60, minutes%60)
}
