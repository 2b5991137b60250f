package api

import "testing"

// FuzzSelector reads anything; what is accepted can be asked.
func FuzzSelector(f *testing.F) {
	for _, s := range []string{"", "a", "a==b", "a!=b, c in (x,y), d notin (z)", `tier!=frontend\ tier`, "a in ()", "a,,b", "((", `\\`, "a==", "in in (in)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sel, err := parseSelector(s)
		if err != nil {
			return
		}
		labels := map[string]string{}
		for _, term := range sel {
			labels[term.key] = ""
			if term.op == "in" && len(term.values) > 0 {
				labels[term.key] = term.values[0]
			}
		}
		_ = sel.match(labels)
		if len(sel) > 0 && sel.match(nil) {
			t.Errorf("%q matches an app without labels", s)
		}
	})
}
