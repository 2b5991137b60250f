package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/scenarios"
)

// Master reads the master's whole state. One that does not lead answers in
// 0.26 with an empty one of its own (contracts of Mesos, section 6.1).
func (c *cluster) Master(ctx context.Context) (scenarios.Master, error) {
	s, err := c.Mesos.State(ctx)
	if err != nil {
		return scenarios.Master{}, err
	}
	m := scenarios.Master{ID: s.ID, Leads: s.Leads()}
	if !m.Leads {
		return m, nil
	}
	m.Elected = time.UnixMicro(int64(s.ElectedTime * 1e6))
	m.Agents = agents(s.Slaves)
	for _, f := range s.Frameworks {
		if f.Active {
			m.Frameworks = append(m.Frameworks, f.ID)
		}
	}
	return m, nil
}

// Scheduler reads what Marathon says of itself.
func (c *cluster) Scheduler(ctx context.Context) (scenarios.Scheduler, error) {
	i, err := c.Marathon.Info(ctx)
	return scenarios.Scheduler{Leader: i.Leader, Framework: i.FrameworkID}, err
}

// Process asks the engine of a component's machine. An engine remembers its
// last 256 events, since it was started.
func (v *live) Process(ctx context.Context, c scenarios.Component) (scenarios.Process, error) {
	docker, err := v.docker(ctx, c.Node)
	if err != nil {
		return scenarios.Process{}, err
	}
	info, err := docker.ContainerInspect(ctx, c.Name, client.ContainerInspectOptions{})
	if err != nil {
		return scenarios.Process{}, fmt.Errorf("look at %s: %w", c.Name, err)
	}
	p := scenarios.Process{Started: startedAt(info.Container), Running: info.Container.State != nil && info.Container.State.Running}
	p.Ends, err = endsOf(ctx, docker, info.Container.ID)
	return p, err
}

func startedAt(c container.InspectResponse) time.Time {
	if c.State == nil {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339Nano, c.State.StartedAt) // zero is no start
	return t
}

// eventsSince is long before any engine's memory begins; 0 would mean no past
// events at all.
const eventsSince = "1"

// endsOf lists the ends of a container's process that its engine remembers.
func endsOf(ctx context.Context, docker *client.Client, id string) ([]scenarios.End, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	system, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask for the engine's time: %w", err)
	}
	now, err := time.Parse(time.RFC3339Nano, system.Info.SystemTime)
	if err != nil {
		return nil, fmt.Errorf("the engine's time: %w", err)
	}
	stream := docker.Events(ctx, client.EventsListOptions{Since: eventsSince, Until: fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
		Filters: client.Filters{}.Add("type", "container").Add("container", id).Add("event", "die")})
	var out []scenarios.End
	for {
		select {
		case m := <-stream.Messages:
			code, err := strconv.Atoi(m.Actor.Attributes["exitCode"])
			if err != nil {
				continue // an event of another kind
			}
			out = append(out, scenarios.End{At: time.Unix(0, m.TimeNano), Code: code})
		case err := <-stream.Err:
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read the engine's events: %w", err)
			}
			slices.SortFunc(out, func(a, b scenarios.End) int { return a.At.Compare(b.At) })
			return out, nil
		}
	}
}
