package watch

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/vt"
	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/scenarios"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// world is a Source of which every part can be changed, or be down.
type world struct {
	mu     sync.Mutex
	power  map[string]lab.MachineState
	agents []scenarios.Agent
	apps   []AppState
	down   error // what Marathon says instead
	hangs  bool  // Mesos never answers
}

func (w *world) change(fn func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(w)
}

func nodes() []lab.Node {
	return []lab.Node{
		{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("10.0.0.1")},
		{Name: "node2", Role: lab.RoleSlave, IP: netip.MustParseAddr("10.0.0.2")},
		{Name: "node3", Role: lab.RoleSlave, IP: netip.MustParseAddr("10.0.0.3")},
	}
}

func newWorld() *world {
	task := func(id, ip string) TaskState {
		return TaskState{Task: Task{ID: id, App: "nginx", State: "healthy"}, IP: ip, Address: ip + ":31000"}
	}
	return &world{
		power:  map[string]lab.MachineState{"node1": lab.StateRunning, "node2": lab.StateRunning, "node3": lab.StateRunning},
		agents: []scenarios.Agent{{ID: "x-S0", IP: "10.0.0.2", Active: true}, {ID: "x-S1", IP: "10.0.0.3", Active: true}},
		apps: []AppState{{App: App{ID: "nginx", Instances: 2, Running: 2, Healthy: 2, Checked: true}, URL: "http://10.0.0.1:10000/",
			Tasks: []TaskState{task("nginx.aaaa-1", "10.0.0.2"), task("nginx.bbbb-2", "10.0.0.3")}}},
	}
}

func (w *world) Power(context.Context) ([]lab.MachineStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []lab.MachineStatus
	for _, n := range nodes() {
		out = append(out, lab.MachineStatus{Machine: lab.Machine{Node: n}, State: w.power[n.Name]})
	}
	return out, nil
}

func (w *world) Faults() ([]string, error) { return nil, nil }

func (w *world) Agents(ctx context.Context) ([]scenarios.Agent, error) {
	w.mu.Lock()
	hangs, agents := w.hangs, w.agents
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return agents, nil
}

func (w *world) Apps(context.Context) ([]AppState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.apps, w.down
}

func (w *world) Servers(context.Context) ([]string, error) { return []string{"10.0.0.2:31000"}, nil }

func (w *world) Happenings(ctx context.Context, fn func(time.Time, string)) {
	fn(time.Now(), "break: node2 loses power")
	<-ctx.Done()
}

// TestBoardShowsWhatHappens watches a world in fake time.
func TestBoardShowsWhatHappens(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":10000")
		if err != nil {
			t.Fatal(err)
		}
		answer := http.StatusOK
		var mu sync.Mutex
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			rw.Header().Set("X-Lab-Task", "nginx.aaaa-1")
			rw.WriteHeader(answer)
		})}
		go srv.Serve(l)
		w := newWorld()
		board := NewBoard("lab lab")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			board.Run(ctx, w, nodes(), Options{Rate: 5, Dial: n.Host("10.0.0.9").Dial})
		}()
		time.Sleep(10 * time.Second)
		v := board.View(time.Now())
		if len(v.Problems) > 0 || v.Machines[1].Power != "running" || v.Machines[1].Slave != "S0 active" || len(v.Machines[1].Tasks) != 1 {
			t.Errorf("view %+v", v)
		}
		if !v.Machines[1].Tasks[0].InLB || v.Machines[2].Tasks[0].InLB {
			t.Errorf("one task of two is in the load balancer: %+v", v.Machines)
		}
		if tr := v.Traffic; tr == nil || tr.Sent < 40 || tr.Failed != 0 || tr.ByTask["nginx.aaaa-1"] < 40 || strings.Trim(tr.Recent, "· ") != "" {
			t.Errorf("traffic %+v", tr)
		}
		if len(v.Events) != 1 {
			t.Errorf("events %+v", v.Events)
		}

		// A slave loses its connection, then is gone; Marathon is down; clients fail.
		mu.Lock()
		answer = http.StatusServiceUnavailable
		mu.Unlock()
		w.change(func(w *world) {
			w.power["node2"] = lab.StateCut
			w.agents = []scenarios.Agent{{ID: "x-S0", IP: "10.0.0.2"}, {ID: "x-S1", IP: "10.0.0.3", Active: true}}
			w.down = errors.New("connection refused")
		})
		time.Sleep(3 * time.Second)
		w.change(func(w *world) { w.agents = w.agents[1:] })
		time.Sleep(3 * time.Second)
		v = board.View(time.Now())
		if v.Machines[1].Power != "cut" || v.Machines[1].Slave != "" || len(v.Problems) != 1 || v.Problems[0] != "Marathon: connection refused" {
			t.Errorf("view %+v", v)
		}
		var events []string
		for _, e := range v.Events {
			events = append(events, e.Text)
		}
		if diff := cmp.Diff([]string{"break: node2 loses power", "the slave on node2 is S0 inactive (it was S0 active)", "Mesos has removed the slave on node2 (it was S0 inactive)"}, events); diff != "" {
			t.Error(diff)
		}
		if v.Traffic.Failed == 0 || !strings.ContainsRune(v.Traffic.Recent, SignFailed) || v.Traffic.Errors["503 Service Unavailable"] != v.Traffic.Failed {
			t.Errorf("traffic %+v", v.Traffic)
		}

		// Who hangs is named and holds up nobody; what answers again is no problem.
		w.change(func(w *world) { w.hangs, w.down = true, nil })
		time.Sleep(5 * time.Second)
		if v = board.View(time.Now()); len(v.Problems) != 1 || !strings.HasPrefix(v.Problems[0], "Mesos: ") {
			t.Errorf("problems %v", v.Problems)
		}
		cancel()
		<-done
		srv.Close()
	})
}

// sampleView has one of everything.
func sampleView() View {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.Local)
	return View{
		Lab: "lab lab", At: at, Faults: []string{"cut node2 (lab break); lab heal mends it"}, Problems: []string{"load balancer: refused"},
		Machines: []Machine{
			{Name: "node1", Alias: "master", IP: "10.0.0.1", Power: "running"},
			{Name: "node2", Alias: "slave1", IP: "10.0.0.2", Power: "cut", Slave: "S0 inactive", Tasks: []Task{{ID: "nginx.4dc0e14e-ec03", App: "nginx", State: "healthy", InLB: true}}},
			{Name: "node3", Alias: "slave2", IP: "10.0.0.3", Power: "running", Slave: "S1 active", Tasks: []Task{{ID: "nginx.b2b2-1", App: "nginx", State: "staging"}}},
			{Name: "node4", Alias: "slave3", IP: "10.0.0.4", Power: "off"},
		},
		Apps: []App{
			{ID: "nginx", Instances: 3, Running: 2, Healthy: 1, Checked: true, Queued: 1, Overdue: true},
			{ID: "other", Instances: 1, Running: 1, Queued: 1, Deploying: true},
		},
		Traffic: &Traffic{App: "nginx", URL: "http://10.0.0.1:10000/", Seconds: 10, Sent: 50, Failed: 2, Slow: 3, Worst: 3.07,
			ByTask: map[string]int{"nginx.4dc0e14e-ec03": 24, "nginx.b2b2-1": 12, "nginx.gone-1": 12}, Recent: "···▲▲✘··… "},
		Events: []Event{{1, at, "first"}, {2, at.Add(time.Second), "second"}, {3, at.Add(2 * time.Second), "third"}},
	}
}

func TestLines(t *testing.T) {
	var got strings.Builder
	for _, l := range sampleView().Lines(22) {
		got.WriteString(l.String() + "\n")
	}
	golden(t, "screen.golden", got.String())
	for height := range 30 { // a screen of any size
		if n := len(sampleView().Lines(height)); n > height {
			t.Errorf("%d lines for a screen of %d", n, height)
		}
	}
}

func TestPrinterSaysWhatIsNew(t *testing.T) {
	var out strings.Builder
	p := NewPrinter(&out)
	v := View{Machines: []Machine{{Name: "node1", Alias: "master"}}}
	p.Show(v) // nothing is known yet
	v = sampleView()
	p.Show(v)
	v.Traffic.Sent, v.At = 51, v.At.Add(time.Second) // what always changes is not new
	p.Show(v)
	v.Machines[1].Power, v.Machines[1].Tasks, v.Faults = "running", nil, nil
	v.Events = append(v.Events, Event{4, v.At, "fourth"})
	p.Show(v)
	v.Traffic.Failed, v.Traffic.Slow, v.Traffic.Recent = 0, 0, "····"
	p.Show(v)
	golden(t, "plain.golden", out.String())
}

// TestTerminal shows a view on a mock of a terminal and leaves it by each key.
func TestTerminal(t *testing.T) {
	for name, key := range map[string]string{"q": "q", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			term := vt.NewMockTerm(vt.MockOptSize{X: 100, Y: 24})
			screen, err := tcell.NewTerminfoScreenFromTty(term)
			if err != nil {
				t.Fatal(err)
			}
			drawn := make(chan struct{}, 1)
			done := make(chan error, 1)
			go func() {
				done <- show(t.Context(), screen, func(time.Time) View {
					select {
					case drawn <- struct{}{}:
					default:
					}
					return sampleView()
				})
			}()
			<-drawn
			<-drawn // so the first one is on the screen
			var first strings.Builder
			for x := range 7 {
				first.WriteString(term.GetCell(vt.Coord{X: vt.Col(x), Y: 0}).C)
			}
			if first.String() != "lab lab" {
				t.Errorf("the screen begins with %q", first.String())
			}
			term.SendRaw([]byte(key))
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTerminalEndsWithItsContext(t *testing.T) {
	screen, err := tcell.NewTerminfoScreenFromTty(vt.NewMockTerm(vt.MockOptSize{X: 20, Y: 3}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := show(ctx, screen, func(time.Time) View { return sampleView() }); err != nil {
		t.Error(err)
	}
}
