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
			'I': "03", 'p': "PM", 'h': "Jan", 'r': "03:04:05 PM", 'x': "01/02/06", 'X': "15:04:05",
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
		case format[i] == 't':
			b.WriteByte('\t')
		case format[i] == 'u':
			b.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case format[i] == 'w':
			b.WriteString(strconv.Itoa(int(t.Weekday())))
		case format[i] == 'q':
			b.WriteString(strconv.Itoa((int(t.Month()) + 2) / 3))
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

// readDate reads what date -d and touch -d take: @SECONDS, a date, a time, both
// as ISO 8601 has them, and a few words.
func readDate(text string, now time.Time) (time.Time, error) {
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		whole, fraction, _ := strings.Cut(seconds, ".")
		n, err := strconv.ParseInt(whole, 10, 64)
		nano, err2 := strconv.ParseUint((fraction + "000000000")[:9], 10, 32)
		if err == nil && err2 == nil {
			return time.Unix(n, int64(nano)).In(now.Location()), nil
		}
	}
	days, known := map[string]int{"": 0, "now": 0, "today": 0, "tomorrow": 1, "yesterday": -1}[text]
	if known && text != "" {
		return now.AddDate(0, 0, days), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04", time.DateOnly, time.UnixDate, time.ANSIC, time.RFC1123Z} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t.In(now.Location()), nil
		}
	}
	if t, err := time.Parse(time.TimeOnly, text); err == nil {
		y, m, d := now.Date()
		return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
	}
	return now, fmt.Errorf("invalid date '%s'", text)
}

func date(_ context.Context, p *Proc) int {
	for i, a := range p.Args { // -I has an optional value
		if precision, ok := strings.CutPrefix(a, "-I"); ok && precision != "" {
			p.Args[i] = "--iso-8601=" + precision
		}
	}
	o, rest, ok := p.options("uRId: date= iso-8601= rfc-3339= utc universal rfc-email")
	if !ok {
		return 1
	}
	t := time.Now()
	if o.has("u", "utc", "universal") {
		t = t.UTC()
	}
	if text, given := o["d"]; given || o.has("date") {
		var err error
		if t, err = readDate(text+o["date"], t); err != nil {
			return p.errorf("%v", err)
		}
	}
	switch {
	case len(rest) > 0 && strings.HasPrefix(rest[0], "+"):
		p.printf("%s\n", strftime(rest[0][1:], t))
	case len(rest) > 0:
		return p.errorf("cannot set date: Operation not permitted")
	case o.has("R", "rfc-email"):
		p.printf("%s\n", t.Format(time.RFC1123Z))
	case o.has("iso-8601", "rfc-3339"):
		layout, known := map[string]string{
			"date": time.DateOnly, "hours": "2006-01-02T15-07:00", "minutes": "2006-01-02T15:04-07:00", "seconds": "2006-01-02T15:04:05-07:00", "ns": "2006-01-02T15:04:05,000000000-07:00",
		}[o["iso-8601"]+o["rfc-3339"]]
		if !known {
			return p.errorf("invalid argument '%s': date, hours, minutes, seconds and ns are known", o["iso-8601"]+o["rfc-3339"])
		}
		if o.has("rfc-3339") {
			layout = strings.NewReplacer("T", " ", ",", ".").Replace(layout)
		}
		p.printf("%s\n", t.Format(layout))
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
