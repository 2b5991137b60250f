package api

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// selector is a parsed label selector: all terms must hold.
type selector []term

// term is one of: key, key==v, key!=v, key in (…), key notin (…).
type term struct {
	key    string
	op     string // "", in, notin
	values []string
}

var termForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^((?:[-A-Za-z0-9_.]|\\.)+)\s*(?:(==|!=)\s*((?:[-A-Za-z0-9_.]|\\.)+)|(in|notin)\s*\(([^()]*)\))?$`)
})

// parseSelector reads the label parameter; "" selects everything.
func parseSelector(s string) (selector, error) {
	var sel selector
	for _, part := range split(s) {
		part = strings.TrimSpace(part)
		if part == "" && strings.TrimSpace(s) == "" {
			continue
		}
		m := termForm().FindStringSubmatch(part)
		if m == nil {
			return nil, &illegalError{http.StatusUnprocessableEntity, "Can not parse label selector '" + s + "'"}
		}
		t := term{key: unescape(m[1])}
		switch {
		case m[2] == "==":
			t.op, t.values = "in", []string{unescape(m[3])}
		case m[2] == "!=":
			t.op, t.values = "notin", []string{unescape(m[3])}
		case m[4] != "":
			t.op = m[4]
			for v := range strings.SplitSeq(m[5], ",") {
				t.values = append(t.values, unescape(strings.TrimSpace(v)))
			}
		}
		sel = append(sel, t)
	}
	return sel, nil
}

// split cuts at commas outside parentheses and escapes.
func split(s string) []string {
	var parts []string
	depth, from, escaped := 0, 0, false
	for i, r := range s {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

var escape = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\(.)`) })

func unescape(s string) string { return escape().ReplaceAllString(s, "$1") }

// match reports whether labels satisfy every term. All terms ask for the
// label to be there.
func (s selector) match(labels map[string]string) bool {
	for _, t := range s {
		v, ok := labels[t.key]
		if !ok || (t.op == "in" && !slices.Contains(t.values, v)) || (t.op == "notin" && slices.Contains(t.values, v)) {
			return false
		}
	}
	return true
}
