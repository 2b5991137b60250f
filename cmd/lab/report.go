package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/scenarios/report"
)

// reporter writes what --report asks for.
type reporter struct {
	dir  string // "" = nobody asked
	many bool   // a folder for each run
	recs []*scenarios.Recording
	page string // the last page
}

// reports makes sure that reports can be written, before anything is run.
func (a *app) reports(dir string, runs int) (*reporter, error) {
	r := &reporter{dir: dir, many: runs > 1}
	if dir == "" {
		return r, nil
	}
	return r, report.Prepare(dir)
}

// add writes the report of a run.
func (r *reporter) add(res *scenarios.Result) error {
	if r.dir == "" || res.Recording == nil {
		return nil
	}
	r.recs = append(r.recs, res.Recording)
	dir := r.dir
	if r.many {
		dir = filepath.Join(dir, fmt.Sprintf("%02d-%s", len(r.recs), runName(res.Scenario)))
	}
	r.page = filepath.Join(dir, report.PageFile)
	return report.Write(dir, res.Recording)
}

// finish writes the sum of several runs and says where the reports are.
func (r *reporter) finish(w io.Writer) error {
	if len(r.recs) == 0 {
		return nil
	}
	if !r.many {
		fmt.Fprintf(w, "Report: %s   ·   lab replay %s shows the run again\n", r.page, r.dir)
		return nil
	}
	fmt.Fprintf(w, "Reports: %s has a folder for each of the %d runs\n", r.dir, len(r.recs))
	return report.WriteJUnit(r.dir, r.recs...)
}
