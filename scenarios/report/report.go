// Package report turns the recording of a run into files: report.html, one
// page without scripts or network for a beamer or for paper; report.json, the
// recording itself (docs/report.md); junit.xml for those who let a machine
// look.
//
// Everything that is drawn comes from the recording, that is, from what was
// observed. Charts are SVG, written by html/template: a plotting library was
// tried (gonum.org/v1/plot), but it loads its fonts whenever a program starts
// that contains it, and every machine and every program of an embedded lab is
// this one program (measured: 7 MB more on disk, 4 MB more memory in each).
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/scenarios"
)

// The files of a report.
const (
	PageFile  = "report.html"
	DataFile  = "report.json"
	JUnitFile = "junit.xml"
)

// Prepare makes a folder for a report, or finds out that none can be written
// there, before anything is run.
func Prepare(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".report-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return &lab.Error{ID: "report-folder", Op: "prepare report", Err: fmt.Errorf("%w: %w", lab.ErrUsage, err), Advice: "give --report a folder that can be written; nothing was broken"}
	}
	return nil
}

// Write writes the three files of one run into a folder. Each is whole at any
// time; those of an earlier run are replaced.
func Write(dir string, rec *scenarios.Recording) error {
	var page, data, junit bytes.Buffer
	if err := Page(&page, rec); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	enc := json.NewEncoder(&data)
	enc.SetIndent("", " ")
	if err := enc.Encode(rec); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := JUnit(&junit, rec); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for name, content := range map[string]*bytes.Buffer{PageFile: &page, DataFile: &data, JUnitFile: &junit} {
		if err := atomicfile.Write(filepath.Join(dir, name), content.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

// WriteJUnit writes one junit.xml for several runs.
func WriteJUnit(dir string, recs ...*scenarios.Recording) error {
	var junit bytes.Buffer
	err := JUnit(&junit, recs...)
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, JUnitFile), junit.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// maxRecording is far above what an hour of traffic takes.
const maxRecording = 1 << 30

// Read reads the recording of a run: report.json, or the folder that holds it.
func Read(name string) (*scenarios.Recording, error) {
	fail := func(err error) (*scenarios.Recording, error) {
		return nil, &lab.Error{ID: "no-recording", Op: "read recording", Err: fmt.Errorf("%w: %w", lab.ErrUsage, err), Advice: "lab scenario NAME --report DIR makes one"}
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		name = filepath.Join(name, DataFile)
		info, err = os.Stat(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(fmt.Errorf("%s does not exist", name))
	case err != nil:
		return fail(err)
	case info.Size() > maxRecording:
		return fail(fmt.Errorf("%s is too large for a recording", name))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fail(err)
	}
	rec, err := parse(data)
	if err != nil {
		return fail(fmt.Errorf("%s: %w", name, err))
	}
	return rec, nil
}

// parse reads a recording and refuses what is none.
func parse(data []byte) (*scenarios.Recording, error) {
	var rec scenarios.Recording
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, fmt.Errorf("is no recording: %w", err)
	}
	switch {
	case rec.Format != scenarios.RecordingFormat:
		return nil, fmt.Errorf("has format %d, this program knows %d", rec.Format, scenarios.RecordingFormat)
	case rec.Result == nil:
		return nil, errors.New("is no recording: it has no result")
	}
	return &rec, nil
}
