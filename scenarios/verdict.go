package scenarios

import (
	"errors"
	"fmt"

	"github.com/mesoslab/lab"
)

// State is how a criterion stands.
type State string

// A criterion holds, does not hold, or was not seen well enough to say.
const (
	Held   State = "held"
	Broken State = "broken"
	Unseen State = "unseen"
)

// Mark is the state as one sign.
func (s State) Mark() string { return map[State]string{Held: "✔", Broken: "✘", Unseen: "?"}[s] }

// Criterion is one thing that a verdict rests on.
type Criterion struct {
	Name   string `json:"name"`
	Rule   string `json:"rule"` // what must hold
	State  State  `json:"state"`
	Detail string `json:"detail"` // what was seen
}

// Verdict is the judgement of a whole run.
type Verdict string

// The verdicts and their exit codes 0, 3 and 4.
const (
	Pass         Verdict = "PASS"
	Fail         Verdict = "FAIL"
	Inconclusive Verdict = "INCONCLUSIVE"
)

// judge derives the verdict: one broken criterion fails a run, one unseen
// (or a run that was blind for a while, or never broke anything) leaves it
// open.
func judge(criteria []Criterion, blind string, faulted bool) (Verdict, string) {
	verdict, why := Pass, ""
	for _, c := range criteria {
		switch {
		case c.State == Broken && verdict != Fail:
			verdict, why = Fail, c.Name+": "+c.Detail
		case c.State == Unseen && verdict == Pass:
			verdict, why = Inconclusive, c.Name+": "+c.Detail
		}
	}
	if verdict == Pass {
		switch {
		case blind != "":
			verdict, why = Inconclusive, blind
		case !faulted || len(criteria) == 0:
			verdict, why = Inconclusive, "nothing was broken, so nothing was shown"
		}
	}
	return verdict, why
}

// pending is a criterion under judgement. It counts as unseen until it is
// settled, so that a script that stops half-way cannot pass.
type pending struct {
	r *run
	i int
}

func (r *run) criterion(name, rule string) pending {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.criteria = append(r.criteria, Criterion{Name: name, Rule: rule, State: Unseen, Detail: "not reached"})
	return pending{r, len(r.criteria) - 1}
}

func (p pending) settle(s State, detail string) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	p.r.criteria[p.i].State, p.r.criteria[p.i].Detail = s, detail
}

func (p pending) pass(format string, args ...any) error {
	p.settle(Held, fmt.Sprintf(format, args...))
	return nil
}

// unseen settles the criterion as not seen and returns the error that stops
// the script.
func (p pending) unseen(err error) error {
	p.settle(Unseen, err.Error())
	return unmet{fmt.Errorf("%w: %w", lab.ErrInconclusive, err)}
}

// broken settles the criterion as not held and returns the error that stops
// the script.
func (p pending) broken(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	p.settle(Broken, err.Error())
	return unmet{fmt.Errorf("%w: %w", lab.ErrExpectation, err)}
}

// unless settles the criterion where a wait was in vain: as not held where
// something wrong was seen, as not seen where the wait failed. It returns nil
// where neither is so.
func (p pending) unless(wrong string, err error) error {
	switch {
	case wrong != "":
		return p.broken("%s", wrong)
	case err != nil:
		return p.unseen(err)
	}
	return nil
}

// unmet marks errors that are findings, not failures of the run.
type unmet struct{ error }

func (u unmet) Unwrap() error { return u.error }

func isUnmet(err error) bool {
	_, ok := errors.AsType[unmet](err)
	return ok
}
