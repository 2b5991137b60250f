package resource

import (
	"cmp"
	"slices"
)

// coalesce sorts ranges and joins those that overlap or touch. It keeps the
// slice's memory.
func coalesce(list []Range) []Range {
	slices.SortFunc(list, func(a, b Range) int { return cmp.Compare(a.Begin, b.Begin) })
	out := list[:0]
	for _, r := range list {
		if r.Begin > r.End {
			continue
		}
		if n := len(out); n > 0 && (out[n-1].End >= r.Begin || out[n-1].End+1 == r.Begin) {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out = append(out, r)
	}
	return out
}

// subtract returns list without cut, both coalesced.
func subtract(list, cut []Range) []Range {
	var out []Range
	for _, r := range list {
		out = append(out, without(r, cut)...)
	}
	return out
}

func without(r Range, cut []Range) []Range {
	var out []Range
	for _, c := range cut {
		if c.End < r.Begin || c.Begin > r.End {
			continue
		}
		if c.Begin > r.Begin {
			out = append(out, Range{r.Begin, c.Begin - 1})
		}
		if c.End >= r.End {
			return out
		}
		r.Begin = c.End + 1
	}
	return append(out, r)
}
