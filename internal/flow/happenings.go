package flow

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios/watch"
	"github.com/mesoslab/lab/stack"
)

const (
	// lookEvery is how often what does not tell of itself is asked.
	lookEvery = 500 * time.Millisecond
	// lookPatience is how long one answer may take.
	lookPatience = 3 * time.Second
)

// Happenings tells what goes on in a lab's cluster, whoever has caused it, until
// ctx ends: what Marathon streams, the slaves that come and go, what enters and
// leaves the load balancer, the apps that it cannot serve as they ask, and who of
// them does not answer. It takes no lock and changes nothing. A lab that is not
// there yet is waited for.
func (f *Flow) Happenings(ctx context.Context, l *state.Lab, tell lab.Report) error {
	var v *live
	err := lab.Until(ctx, lookEvery, "the lab to be known", func(context.Context) (err error) {
		v, err = f.open(l, "lab events")
		return err
	})
	if err != nil {
		return err
	}
	defer v.close()
	c := &cluster{v.clients, v.platform}
	note := func(op, text string) { tell.Emit(lab.Event{Op: op, Kind: lab.EventNote, Text: text}) }
	var all sync.WaitGroup
	all.Go(func() {
		marathon := answering{tell: func(text string) { note(opMarathon, text) }}
		followMarathon(ctx, c, marathon.heard, func(e stack.Event) {
			if text := marathonNews(c.platform, e); text != "" {
				tell.Emit(lab.Event{Time: e.Received, Op: opMarathon, Kind: lab.EventNote, Text: text})
			}
		})
	})
	slaves := watch.NewChanges(watch.SlaveNews)
	all.Go(func() {
		look(ctx, func(text string) { note(opMesos, text) }, func(ctx context.Context) ([]string, error) {
			agents, err := c.Agents(ctx)
			if err != nil {
				return nil, err
			}
			return slaves.Look(watch.SlaveStates(agents, v.plan.Nodes)), nil
		})
	})
	balancer := balancerNews{cluster: c, servers: watch.NewChanges(c.serverNews), spoilt: watch.NewChanges(spoiltNews)}
	balancer.spoilt.Look(map[string]string{}) // one that was there before is news, too
	all.Go(func() { look(ctx, func(text string) { note(opBalancer, text) }, balancer.look) })
	all.Wait()
	return nil
}

// The words for who tells, where commands have their own.
const (
	opMarathon = "marathon"
	opMesos    = "mesos"
	opBalancer = "balancer"
)

// answering tells when somebody ceases to answer, and when answers come back.
type answering struct {
	tell   func(string)
	silent bool
}

// heard takes in what came of asking.
func (a *answering) heard(err error) {
	switch {
	case err != nil && !a.silent:
		a.tell(fmt.Sprintf("does not answer: %v", err))
	case err == nil && a.silent:
		a.tell("answers again")
	}
	a.silent = err != nil
}

// look asks again and again until ctx ends, and tells the news.
func look(ctx context.Context, tell func(string), ask func(context.Context) ([]string, error)) {
	again := time.NewTimer(0)
	defer again.Stop()
	asked := answering{tell: tell}
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		one, cancel := context.WithTimeout(ctx, lookPatience)
		news, err := ask(one)
		cancel()
		if ctx.Err() != nil {
			return
		}
		asked.heard(err)
		for _, text := range news {
			tell(text)
		}
		again.Reset(lookEvery)
	}
}

// balancerNews is what there is to tell of the load balancer.
type balancerNews struct {
	cluster *cluster
	servers *watch.Changes
	spoilt  *watch.Changes
}

func (b balancerNews) look(ctx context.Context) ([]string, error) {
	stats, err := b.cluster.LB.Stats(ctx)
	if err != nil {
		return nil, err
	}
	list, err := b.cluster.LB.Spoilt(ctx)
	if err != nil {
		return nil, err
	}
	servers, spoilt := map[string]string{}, map[string]string{}
	for _, s := range stats {
		if address, ok := serverAddress(s); ok {
			servers[s.Proxy+" "+address] = condition(s.Status)
		}
	}
	for _, s := range list {
		spoilt[fmt.Sprintf("%s port %d", s.App, s.PortIndex)] = s.String()
	}
	return append(b.servers.Look(servers), b.spoilt.Look(spoilt)...), nil
}

// condition is a server's status without the checks that it still has to pass
// ("UP 1/2").
func condition(status string) string {
	for _, whole := range []string{"UP", "DOWN"} {
		if strings.HasPrefix(status, whole+" ") {
			return whole
		}
	}
	return status
}

// serverNews says how a server of the load balancer comes, goes, or is judged.
// Its name is that of its backend and its address.
func (c *cluster) serverNews(name, before, now string) string {
	backend, address, _ := strings.Cut(name, " ")
	ip, _, _ := strings.Cut(address, ":")
	where := address
	if node := c.platform.NodeAt(ip); node != "" {
		where += " on " + node
	}
	switch {
	case now == "":
		return fmt.Sprintf("%s: %s is out of the load balancer", backend, where)
	case before == "":
		return fmt.Sprintf("%s: %s is in the load balancer, %s", backend, where, now)
	}
	return fmt.Sprintf("%s: %s is %s (it was %s)", backend, where, now, before)
}

// spoiltNews says which app the load balancer cannot serve as it asks.
func spoiltNews(name, _, now string) string {
	if now == "" {
		return "nothing more stands against " + name
	}
	return now
}

// followMarathon follows Marathon's stream until ctx ends, and opens it again
// whenever it breaks off. heard is told why it did, and nil when it is open.
func followMarathon(ctx context.Context, c *cluster, heard func(error), fn func(stack.Event)) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		err := streamMarathon(ctx, c, heard, fn)
		if ctx.Err() != nil {
			return
		}
		heard(err)
		again.Reset(time.Second) // Marathon may be down for long
	}
}

// streamMarathon follows Marathon until its stream ends.
func streamMarathon(ctx context.Context, c *cluster, heard func(error), fn func(stack.Event)) error {
	stream, err := c.Marathon.Subscribe(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	heard(nil)
	for e, err := range stream.All() {
		if err != nil {
			return err
		}
		fn(e)
	}
	return stack.ErrStreamEnded
}

// marathonNews puts an event into words, or "" where nobody needs to hear of it.
func marathonNews(p stack.Platform, e stack.Event) string {
	on := ""
	if node := p.NodeAt(e.Host); node != "" {
		on = " on " + node
	}
	switch e.Type {
	case "status_update_event":
		return fmt.Sprintf("%s%s is %s%s", e.TaskID, on, e.TaskStatus, why(e))
	case "health_status_changed_event":
		if e.Alive != nil && *e.Alive {
			return e.TaskID + " is healthy"
		}
		return e.TaskID + " is unhealthy"
	case "unhealthy_task_kill_event":
		return fmt.Sprintf("%s%s is killed: unhealthy", e.TaskID, on)
	case "deployment_info":
		return deploymentNews(e)
	case "deployment_success":
		return "a deployment has ended well"
	case "deployment_failed":
		return "a deployment has failed or was cancelled"
	case "scheduler_disconnected_event":
		return "Marathon has lost Mesos"
	}
	return ""
}

// why is the reason of an end that nobody has asked for.
func why(e stack.Event) string {
	switch e.TaskStatus {
	case "TASK_FAILED", "TASK_LOST", "TASK_ERROR":
		if e.Message != "" {
			return ": " + e.Message
		}
	}
	return ""
}

// deploymentNews says what the step of a deployment does that begins.
func deploymentNews(e stack.Event) string {
	var does []string
	for _, a := range e.Step.Actions {
		does = append(does, a.Kind()+" "+a.App)
	}
	if len(does) == 0 {
		return ""
	}
	return "a deployment's next step: " + strings.Join(does, ", ")
}
