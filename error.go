package lab

import (
	"errors"
	"slices"
	"strings"
)

// Error is a failure made for people: what failed, where, and what to try.
// Libraries return it where they know more than the cause; only internal/ui
// prints it.
type Error struct {
	ID      string // stable word: ssh-timeout, subnet-taken, port-taken
	Op      string // what was being done
	Machine string // on which machine, or ""
	Err     error  // the cause
	Advice  string // one or two sentences: what to try
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Machine, e.Op} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	}
	return strings.TrimSuffix(b.String(), ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// ErrorID returns the id of the first *Error in err's tree, or "".
func ErrorID(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.ID
	}
	return ""
}

// Sentinels on which callers branch.
var (
	// ErrUsage marks wrong flags, arguments or specs (exit code 2).
	ErrUsage = errors.New("wrong usage")
	// ErrExpectation marks an expectation that did not hold (exit code 3).
	ErrExpectation = errors.New("expectation failed")
	// ErrInconclusive marks a run that saw too little to judge (exit code 4).
	ErrInconclusive = errors.New("inconclusive")
	// ErrNotFound marks a lab, machine, app or scenario that is not there.
	ErrNotFound = errors.New("not found")
)

// DidYouMean returns "; did you mean X?" for the candidate nearest to word,
// or "" where none is near.
func DidYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// Nearest returns the candidate with the smallest edit distance to word, if
// that distance is at most a third of the word's length (at least 1, or 2
// from four letters on).
func Nearest(word string, candidates []string) string {
	limit := max(1, len(word)/3)
	if len(word) >= 4 {
		limit = max(2, limit)
	}
	best := ""
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d <= limit {
			best, limit = c, d-1
		}
	}
	return best
}

// distance is Levenshtein's, one row at a time.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(prev[j+1]+1, row[j]+1, prev[j]+cost)
		}
	}
	return row[len(b)]
}
