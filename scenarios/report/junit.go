package report

import (
	"encoding/xml"
	"io"
	"time"

	"github.com/mesoslab/lab/scenarios"
)

// The elements of junit.xml, as Jenkins, GitLab and others read them: a run is
// a suite, a criterion a case. What was not seen is an error and no failure:
// the run has to be repeated before it says anything.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Time      float64     `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
	}
)

// JUnit writes runs as one document.
func JUnit(w io.Writer, recs ...*scenarios.Recording) error {
	var doc junitSuites
	for _, rec := range recs {
		doc.Suites = append(doc.Suites, suite(rec))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func suite(rec *scenarios.Recording) junitSuite {
	res := rec.Result
	s := junitSuite{Name: res.Scenario, Time: res.Seconds, Timestamp: rec.Begun.UTC().Format(time.RFC3339)}
	for _, c := range res.Criteria {
		one := junitCase{Class: res.Scenario, Name: c.Name + ": " + c.Rule}
		switch c.State {
		case scenarios.Broken:
			one.Failure = &junitProblem{c.Detail, string(scenarios.Fail)}
		case scenarios.Unseen:
			one.Error = &junitProblem{c.Detail, string(scenarios.Inconclusive)}
		default:
			one.Out = c.Detail
		}
		s.Cases = append(s.Cases, one)
	}
	// The verdict is more than its criteria: a run that was blind passes none.
	verdict := junitCase{Class: res.Scenario, Name: "verdict"}
	switch res.Verdict {
	case scenarios.Fail:
		verdict.Failure = &junitProblem{res.Why, string(res.Verdict)}
	case scenarios.Inconclusive:
		verdict.Error = &junitProblem{res.Why, string(res.Verdict)}
	}
	s.Cases = append(s.Cases, verdict)
	for _, c := range s.Cases {
		s.Tests++
		if c.Failure != nil {
			s.Failures++
		}
		if c.Error != nil {
			s.Errors++
		}
	}
	return s
}
