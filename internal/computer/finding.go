package computer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
)

// OK is a finding that nothing is wrong.
func OK(id, format string, args ...any) lab.Finding {
	return lab.Finding{ID: id, Severity: lab.SeverityOK, Text: fmt.Sprintf(format, args...)}
}

// Note is a finding worth knowing.
func Note(id, advice, format string, args ...any) lab.Finding {
	return lab.Finding{ID: id, Severity: lab.SeverityNote, Text: fmt.Sprintf(format, args...), Advice: advice}
}

// Warn is a finding of what works, but will hurt.
func Warn(id, advice, format string, args ...any) lab.Finding {
	return lab.Finding{ID: id, Severity: lab.SeverityWarn, Text: fmt.Sprintf(format, args...), Advice: advice}
}

// Stop is a finding with which no lab can be made.
func Stop(id, advice, format string, args ...any) lab.Finding {
	return lab.Finding{ID: id, Severity: lab.SeverityStop, Text: fmt.Sprintf(format, args...), Advice: advice}
}

// Failure makes a finding of what a lab would fail with: a Stop with the words
// and the id of a *lab.Error, else with id.
func Failure(id string, err error) lab.Finding {
	f := lab.Finding{ID: id, Severity: lab.SeverityStop, Text: err.Error(), Err: err}
	if e, ok := errors.AsType[*lab.Error](err); ok {
		f.ID, f.Advice = e.ID, e.Advice
		if e.Err != nil {
			f.Text = e.Err.Error()
		}
	}
	f.Text = strings.ReplaceAll(f.Text, lab.ErrUsage.Error()+": ", "") // the exit code says it
	return f
}

// Unseen is what a check says that could not look.
func Unseen(id string, err error) []lab.Finding {
	return []lab.Finding{Note(id, "", "could not be looked at: %s", Brief(err.Error()))}
}
