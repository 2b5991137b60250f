package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// Deployed tells what deploy did.
type Deployed struct {
	ID        string             `json:"id"`
	Did       stack.DeployAction `json:"did"`
	Instances int                `json:"instances"`
	Placement []string           `json:"placement"`
	URL       string             `json:"url,omitempty"` // behind the load balancer
	Curl      string             `json:"curl"`          // the same by hand
}

// Deploy puts an app file onto a lab's Marathon and waits until it runs. The
// lab's event log tells of it.
func (f *Flow) Deploy(ctx context.Context, l *state.Lab, file string) (*Deployed, error) {
	d, err := readApp(file)
	if err != nil {
		return nil, err
	}
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, err
	}
	c := p.Clients(nil)
	report, closeLog, err := f.recorded(l)
	if err != nil {
		return nil, err
	}
	app, did, err := p.Deploy(ctx, c, d, stack.Options{Op: "deploy", Report: named(report, strings.TrimPrefix(d.ID, "/"))})
	if err = errors.Join(err, closeLog()); err != nil {
		return nil, err
	}
	return &Deployed{
		ID: d.ID, Did: did, Instances: app.Instances, Placement: placement(p, app), URL: serviceURL(p, app),
		Curl: "curl -X PUT -H 'Content-Type: application/json' " + c.Marathon.Base + "/v2/apps" + d.ID + " -d " + provision.Quote("@"+file),
	}, nil
}

// serviceURL is where an app is reached through the load balancer, or "".
func serviceURL(p stack.Platform, app stack.App) string {
	if _, ok := app.Labels["HAPROXY_GROUP"]; !ok || app.ServicePort() == 0 {
		return ""
	}
	return fmt.Sprintf("http://%s:%d/", p.Master().IP, app.ServicePort())
}
