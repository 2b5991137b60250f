package ui

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestGroupsAreOneLineAMachine(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewPlain(&out)
		report := lab.Report(r.Report)
		err := report.Step("create", "node1", "machine", func(func(string)) error {
			report.Step("create", "node1", "machine/boot", func(func(string)) error { return nil })
			return report.Step("create", "node1", "machine/ssh", func(func(string)) error { return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		report.Step("create", "", "nginx", func(func(string)) error { return nil })
		r.Close()
		if got, want := out.String(), "node1  boot ✔  ssh ✔\nnginx ✔\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNothingStaysSilentForLong(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewPlain(&out)
		report := lab.Report(r.Report)
		report.Step("create", "node2", "ssh", func(wait func(string)) error {
			wait("connection refused")
			time.Sleep(3500 * time.Millisecond)
			return errors.New("gave up\nand more")
		})
		r.Close()
		got := out.String()
		if n := strings.Count(got, "… node2 ssh: connection refused"); n < 3 {
			t.Errorf("%d words in 3.5 s, want one a second:\n%s", n, got)
		}
		if !strings.HasSuffix(got, "node2 ssh ✘ gave up\n") {
			t.Errorf("the failure is missing:\n%s", got)
		}
	})
}

func TestTerminalErasesItsBar(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewTerminal(&out)
		report := lab.Report(r.Report)
		report.Step("create", "node2", "boot", func(func(string)) error { time.Sleep(time.Second); return nil })
		r.Close()
		if got := out.String(); !strings.Contains(got, "node2 boot (") || !strings.HasSuffix(got, "node2 boot ✔\n") {
			t.Errorf("got %q", got)
		}
	})
}

func TestPrintError(t *testing.T) {
	err := fmt.Errorf("create: %w", &lab.Error{ID: "spec-invalid", Op: "read spec", Err: fmt.Errorf("%w: a:1: x\na:2: y", lab.ErrUsage), Advice: "mend it"})
	var out bytes.Buffer
	PrintError(&out, err)
	want := "lab: error: create: read spec: a:1: x [spec-invalid]\nlab:        a:2: y\nlab: try: mend it\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
