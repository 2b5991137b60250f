//go:build linux

package vm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

// patience bounds every wait of the test. It is against hanging, never a
// measure.
const patience = 30 * time.Minute

// bench is the lab under test, and what was measured of it.
type bench struct {
	inside
	master string
}

// step runs one step, notes how long it took, and says so at once.
func (b *bench) step(t *testing.T, name string, fn func(t *testing.T) (note string)) {
	t.Helper()
	fmt.Printf("=== %s\n", name)
	start := time.Now()
	note := ""
	ok := t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) { note = fn(t) })
	took := time.Since(start).Seconds()
	b.Times = append(b.Times, times{name, took, note})
	fmt.Printf("=== %s: %.1f s %s\n", name, took, note)
	if !ok {
		t.FailNow() // what follows builds on it
	}
}

// table prints the times of all steps.
func (b *bench) table() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "step\tseconds\t\t")
	for _, s := range b.Times {
		fmt.Fprintf(w, "%s\t%.1f\t%s\t\n", s.Step, s.Seconds, s.Note)
	}
}

// lab runs a lab command that has to succeed, and returns what it printed.
func (b *bench) lab(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := b.run(t, &out, args); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

func (b *bench) run(t *testing.T, out io.Writer, args []string) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.Binary, args...)
	cmd.Dir, cmd.Env = b.Dir, b.environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lab %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// document runs a lab command and reads the document that it ends with. Its
// events are shown while they come, for somebody watches.
func (b *bench) document(t *testing.T, v any, args ...string) {
	t.Helper()
	r, w := io.Pipe()
	shown := make(chan string)
	go func() {
		last, told := "", time.Time{}
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var e lab.Event
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Kind == "" {
				last = lines.Text()
				continue
			}
			if e.Kind != lab.EventWait || time.Since(told) > time.Second {
				told = time.Now()
				fmt.Println(" ", e.Node, e.Step, e.Kind, e.Text, e.Err)
			}
		}
		shown <- last
	}()
	err := b.run(t, w, append(args, "-o", "jsonl"))
	w.Close()
	last := <-shown
	if err != nil {
		t.Fatalf("%v\n%s", err, last)
	}
	decode(t, last, v)
}

func (b *bench) environ() []string {
	home := filepath.Join(b.Dir, "home")
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "VAGRANT_HOME=" + filepath.Join(home, ".vagrant.d"), "LANG=C.UTF-8",
		"LAB_STATE_DIR=" + filepath.Join(b.Dir, "state"), "LAB_FILE=" + filepath.Join(b.Dir, "lab.yaml"),
	}
}

// create runs lab create and returns what it says it did.
func (b *bench) create(t *testing.T, args ...string) flow.Created {
	t.Helper()
	var made flow.Created
	b.document(t, &made, append([]string{"create"}, args...)...)
	return made
}

func (b *bench) status(t *testing.T) flow.Status {
	t.Helper()
	var s flow.Status
	decode(t, b.lab(t, "status", "-o", "json"), &s)
	return s
}

// tasks are the ids of Marathon's tasks.
func (b *bench) tasks(t *testing.T) (ids []string) {
	t.Helper()
	for _, task := range b.status(t).Marathon.Tasks {
		ids = append(ids, task.ID)
	}
	slices.Sort(ids)
	return ids
}

// whole returns when lab calls itself whole, with all three machines running.
func (b *bench) whole(t *testing.T) {
	t.Helper()
	b.wholeOf(t, 3)
}

// wholeOf does so for a number of machines. An emulated processor may miss a
// health check or two on the way there.
func (b *bench) wholeOf(t *testing.T, machines int) {
	t.Helper()
	await(t, "the lab to be whole", func(context.Context) error {
		if s := b.status(t); !s.Whole || len(s.Power) != machines || s.Unsettled() != "" {
			return fmt.Errorf("%d machines; %s %s", len(s.Power), s.Lacks(), s.Unsettled())
		}
		return nil
	})
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// nginx asks the sample app through the load balancer.
func (b *bench) nginx(ctx context.Context) error {
	body, err := b.http(ctx, http.MethodGet, 10000, "/", "")
	if err == nil && len(body) == 0 {
		err = fmt.Errorf("an empty page")
	}
	return err
}

// http asks the master.
func (b *bench) http(ctx context.Context, method string, port int, path, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s:%d%s", b.master, port, path), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return text, err
}

// serving waits until nginx answers.
func (b *bench) serving(t *testing.T) {
	t.Helper()
	await(t, "nginx through the load balancer", b.nginx)
}

func await(t *testing.T, what string, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := lab.Until(ctx, 200*time.Millisecond, what, fn); err != nil {
		t.Fatal(err)
	}
}

// clocks fails if a machine's clock is far from this computer's. What is far
// is what a pause or a snapshot would leave; an SSH connection to an emulated
// machine takes seconds itself.
func (b *bench) clocks(t *testing.T) {
	t.Helper()
	for _, node := range []string{"node1", "node2", "node3"} {
		before := time.Now()
		var seconds int64
		if _, err := fmt.Sscan(b.lab(t, "ssh", node, "date +%s"), &seconds); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(seconds, 0)
		if at.Before(before.Add(-3*time.Second)) || at.After(time.Now().Add(3*time.Second)) {
			t.Errorf("the clock of %s says %s at %s", node, at, time.Now())
		}
	}
}

// record is the lab's record.
func (b *bench) record(t *testing.T) *state.Lab {
	t.Helper()
	l, err := state.NewStore(filepath.Join(b.Dir, "state")).Load("lab")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ruby is what Vagrant has said so far: it does not grow where Vagrant was not
// started.
func (b *bench) ruby(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.record(t).Dir, "vagrant.log"))
	if err != nil {
		t.Fatal(err)
	}
	return len(text)
}
