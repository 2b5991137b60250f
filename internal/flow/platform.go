package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// sampleApp is the app that a spec asks for, or none. own is set where it
// comes from a file.
type sampleApp struct {
	wanted  bool
	article bool
	own     *stack.Definition
}

// definition reads the spec's app before anything is made: a file that is
// missing must not be found out after the machines have booted.
func definition(spec lab.Spec) (sampleApp, error) {
	switch spec.App {
	case "none":
		return sampleApp{}, nil
	case "nginx", "article":
		return sampleApp{wanted: true, article: spec.App == "article"}, nil
	}
	d, err := readApp(spec.App)
	return sampleApp{wanted: true, own: &d}, err
}

func readApp(file string) (stack.Definition, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return stack.Definition{}, &lab.Error{ID: "app-missing", Op: "read app", Err: fmt.Errorf("%w: %w", lab.ErrUsage, err), Advice: "give the path of a Marathon JSON file"}
	}
	return stack.LoadDefinition(file, data)
}

// platform brings up the stack and the sample app on prepared machines.
func (f *Flow) platform(ctx context.Context, l *state.Lab, provider lab.Provider, hosts map[string]*provision.Host, app sampleApp, report lab.Report, did *changes) (*Created, error) {
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, err
	}
	engines, err := engines(ctx, hosts)
	if err != nil {
		return nil, err
	}
	if err := f.deliver(ctx, p, hosts, app, report, did); err != nil {
		return nil, err
	}
	clients := p.Clients(nil)
	opened := &gates{since: did.since}
	for _, n := range p.Nodes {
		report.Emit(lab.Event{Op: "create", Kind: lab.EventStart, Node: n.Name, Step: "stack"})
	}
	res, err := stack.Converge(ctx, p, engines, clients, stack.Options{Op: "create", Report: opened.report(grouped(report, "stack"))})
	if err != nil {
		return nil, err
	}
	for _, n := range p.Nodes {
		report.Emit(lab.Event{Op: "create", Kind: lab.EventDone, Node: n.Name, Step: "stack"})
	}
	for _, name := range slices.Concat(res.Created, res.Recreated, res.Started) {
		did.add("started %s", name)
	}
	for _, name := range res.Removed {
		did.add("removed %s", name)
	}
	out := &Created{Name: l.Spec.Name, Provider: l.Provider, Subnet: l.Spec.Subnet, MasterIP: p.Master().IP.String(), Endpoints: p.Endpoints()}
	if out.Placement, err = f.deploySample(ctx, l, p, clients, app, opened.report(report), did); err != nil {
		return nil, err
	}
	if l.Ready.IsZero() {
		l.Ready = time.Now().UTC()
	}
	out.Changed = append([]string{}, did.list...)
	out.Gates = opened.list
	return out, l.Save()
}

// gates collects the notes in which the stack says that a gate has opened.
type gates struct {
	since time.Time
	mu    sync.Mutex
	list  []Gate
}

// Gate is one condition that create awaited, and when it held.
type Gate struct {
	Text    string  `json:"text"`
	Seconds float64 `json:"seconds"` // since the start of create
}

// report passes on everything but those notes.
func (g *gates) report(report lab.Report) lab.Report {
	return func(e lab.Event) {
		if e.Kind != lab.EventNote || !strings.HasSuffix(e.Step, "ready") {
			report.Emit(e)
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.list = append(g.list, Gate{e.Text, e.Time.Sub(g.since).Seconds()})
	}
}

// resolve makes the platform of a lab.
func (f *Flow) resolve(l *state.Lab, provider lab.Provider) (stack.Platform, error) {
	nodes, err := l.Spec.Nodes()
	if err != nil {
		return stack.Platform{}, err
	}
	return stack.New(l.Spec, l.ID, provider.Features(), nodes)
}

// engines opens the Docker engines of all hosts.
func engines(ctx context.Context, hosts map[string]*provision.Host) (map[string]stack.Machine, error) {
	out := map[string]stack.Machine{}
	for name, h := range hosts {
		docker, err := h.Docker(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = stack.Machine{Docker: docker, Shell: h}
	}
	return out, nil
}

// deploySample deploys the sample app where it is missing or where the spec
// asks for another one than last time. What people have done to it since
// (scaled it, changed its image) is theirs and stays.
func (f *Flow) deploySample(ctx context.Context, l *state.Lab, p stack.Platform, c stack.Clients, app sampleApp, report lab.Report, did *changes) ([]string, error) {
	if !app.wanted {
		return nil, nil
	}
	d := app.definitions(p)[0]
	deployed := d
	if hashOf(d) == l.App {
		if _, err := c.Marathon.App(ctx, d.ID); err == nil {
			d.JSON, _ = json.Marshal(map[string]string{"id": d.ID})
		} else if !errors.Is(err, lab.ErrNotFound) {
			return nil, err
		}
	}
	got, action, err := p.Deploy(ctx, c, d, stack.Options{Op: "create", Report: named(report, strings.TrimPrefix(d.ID, "/"))})
	if err != nil {
		return nil, err
	}
	// What people have made of it since is not what create deployed.
	if action != stack.DeployUnchanged || hashOf(deployed) != l.App {
		if err := remember(l, deployed, got); err != nil {
			return nil, err
		}
	}
	if action != stack.DeployUnchanged {
		did.add("%s %s", action, d.ID)
	}
	return placement(p, got), nil
}

// hashOf tells one definition from another.
func hashOf(d stack.Definition) string {
	sum := sha256.Sum256(d.JSON)
	return hex.EncodeToString(sum[:8])
}

// named gives the step in which an app is deployed the app's name.
func named(report lab.Report, app string) lab.Report {
	return func(e lab.Event) {
		if e.Step == "app" {
			e.Step = app
		}
		report.Emit(e)
	}
}

// placement lists where an app's tasks run, as node:port.
func placement(p stack.Platform, app stack.App) []string {
	var out []string
	for _, t := range app.Tasks {
		node := p.NodeAt(t.Host)
		if node == "" {
			node = t.Host
		}
		for _, port := range t.Ports {
			out = append(out, fmt.Sprintf("%s:%d", node, port))
		}
	}
	slices.Sort(out)
	return out
}

// Endpoints lists what people open in a lab.
func (f *Flow) Endpoints(l *state.Lab) ([]stack.Endpoint, error) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, err
	}
	return p.Endpoints(), nil
}
