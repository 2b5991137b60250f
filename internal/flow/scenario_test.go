package flow

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

// TestLeftOut: of all scenarios those are run that the lab can do, and what is
// left out is told with its reason. One that was asked for is an error.
func TestLeftOut(t *testing.T) {
	f, _, l := madeInMemory(t, "memory")
	var told []string
	opt := scenarios.Options{LeaveOut: true, Report: func(e lab.Event) { told = append(told, e.Text) }}
	all := []scenarios.Scenario{
		scenarios.Parse("big.txt", "# x\n# needs: 9 slaves\nsay big\n"),
		scenarios.Parse("patient.txt", "# x\n# needs: pings 15s x 5\nsay patient\n"),
		scenarios.Parse("small.txt", "# x\nsay small\n"),
	}
	var results []string
	each := func(res *scenarios.Result, err error) error {
		switch {
		case res == nil && err == nil:
			results = append(results, "left out")
		case res != nil && errors.Is(err, lab.ErrInconclusive): // nothing was broken
			results = append(results, res.Scenario)
		default:
			t.Errorf("%+v, %v", res, err)
		}
		return nil
	}
	f.Report = opt.Report
	if err := f.Scenarios(t.Context(), l.Spec.Name, all, opt, each); !errors.Is(err, lab.ErrInconclusive) {
		t.Errorf("error %v, want the verdict of the one that ran", err)
	}
	if want := []string{"left out", "left out", "small.txt"}; !slices.Equal(results, want) {
		t.Errorf("results %q, want %q", results, want)
	}
	text := strings.Join(told, "\n")
	for _, want := range []string{"left out: ", "needs 9 slaves, this lab has 1", "needs pings 15s x 5, this lab has "} {
		if !strings.Contains(text, want) {
			t.Errorf("was not told %q:\n%s", want, text)
		}
	}
	opt.LeaveOut, results = false, nil
	if err := f.Scenarios(t.Context(), l.Spec.Name, all, opt, each); !errors.Is(err, lab.ErrUsage) || len(results) > 0 {
		t.Errorf("asked for by name: %v, %q", err, results)
	}
}
