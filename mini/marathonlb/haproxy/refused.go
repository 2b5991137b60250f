package haproxy

import (
	"regexp"
	"strconv"
	"strings"
)

// RefusedError says that HAProxy does not take a text, and what in it.
type RefusedError struct{ Alerts []Alert }

// Alert is one thing that HAProxy finds wrong.
type Alert struct {
	// Said is HAProxy's own words, without the place.
	Said string
	// Section is the head of the section it is about ("backend web"), Line the
	// line, without its indentation; both are "" where HAProxy names no place.
	Section, Line string
}

func (a Alert) String() string {
	if a.Line == "" {
		return a.Said
	}
	return a.Said + " (" + a.Section + ": " + a.Line + ")"
}

// Error joins the alerts.
func (e *RefusedError) Error() string {
	var words []string
	for _, a := range e.Alerts {
		words = append(words, a.String())
	}
	return "HAProxy refuses it: " + strings.Join(words, "; ")
}

// place is where in which of its files HAProxy finds something; only the first
// in an alert is what is wrong, the others are what it collides with.
var place = regexp.MustCompile(`^(?:config : )?(?:parsing |Binding )?\[(?:[^\]]*/)?[a-z]+\.cfg:([0-9]+)\]\s*(?::\s*)?`)

// general are alerts that only say that there are others.
var general = regexp.MustCompile(`^(?:config : )?(?:Error\(s\) found in configuration file|Fatal errors found in configuration)`)

// refused reads what HAProxy said of a text; nil if it says nothing of one.
func refused(said, text string) *RefusedError {
	lines := strings.Split(text, "\n")
	var e RefusedError
	for line := range strings.Lines(said) {
		severity, words := logLine(line)
		if severity != "ALERT" || general.MatchString(words) {
			continue
		}
		a := Alert{Said: strings.TrimPrefix(words, "config : ")}
		if m := place.FindStringSubmatch(words); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n > 0 && n <= len(lines) {
				a.Said, a.Line, a.Section = words[len(m[0]):], strings.TrimSpace(lines[n-1]), section(lines[:n])
			}
		}
		e.Alerts = append(e.Alerts, a)
	}
	if len(e.Alerts) == 0 {
		return nil
	}
	return &e
}

// section is the head of the section that the last of the lines is in.
func section(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if l := lines[i]; l != "" && l[0] != ' ' {
			return l
		}
	}
	return ""
}
