package api

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Filters are the values of the query parameter "filters": for each key the
// values of which one must match.
type Filters map[string][]string

// ParseFilters reads the parameter in its present form
// {"label":{"a=b":true}} or the old one {"label":["a=b"]}, and refuses keys
// that are not allowed.
func ParseFilters(s string, allowed ...string) (Filters, error) {
	f := Filters{}
	if s == "" {
		return f, nil
	}
	var now map[string]map[string]bool
	if err := json.Unmarshal([]byte(s), &now); err == nil {
		for k, values := range now {
			for v := range values {
				f[k] = append(f[k], v)
			}
			slices.Sort(f[k])
		}
	} else {
		var old map[string][]string
		if err := json.Unmarshal([]byte(s), &old); err != nil {
			return nil, BadRequest("invalid filter")
		}
		f = old
	}
	for k := range f {
		if len(allowed) > 0 && !slices.Contains(allowed, k) {
			return nil, BadRequest("invalid filter '%s'", k)
		}
	}
	return f, nil
}

// Has tells whether the key was given with any value.
func (f Filters) Has(key string) bool { return len(f[key]) > 0 }

// Exact is true where the key is absent or one of its values equals have.
func (f Filters) Exact(key, have string) bool {
	return !f.Has(key) || slices.Contains(f[key], have)
}

// Any is true where the key is absent or match accepts one of its values.
func (f Filters) Any(key string, match func(value string) bool) bool {
	return !f.Has(key) || slices.ContainsFunc(f[key], match)
}

// Pattern is true where the key is absent, or one value equals have, is a
// regular expression that matches it, or a part of it.
func (f Filters) Pattern(key, have string) bool {
	return f.Any(key, func(v string) bool {
		if re, err := regexp.Compile(v); err == nil {
			return re.MatchString(have)
		}
		return strings.Contains(have, v)
	})
}

// Labels is true where every value of the key ("name" or "name=value") is
// among the labels: unlike other keys, label filters add up.
func (f Filters) Labels(key string, labels map[string]string) bool {
	for _, want := range f[key] {
		name, value, exact := strings.Cut(want, "=")
		have, ok := labels[name]
		if !ok || exact && have != value {
			return false
		}
	}
	return true
}
