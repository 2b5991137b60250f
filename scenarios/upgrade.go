package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// wayZeroDowntime is the way of marathon-lb's zdd.py (1.3.0).
const wayZeroDowntime = "zero-downtime"

// upgrading is the verb for upgrades that Marathon knows nothing of.
func upgrading() []verb {
	return []verb{{
		name: "upgrade", summary: "bring an app, or a new version of it, as marathon-lb's zdd.py does: blue and green side by side, the old one drained by the load balancer",
		args:    []param{{name: "app", kind: kindApp}, {name: "file", kind: kindUpdate}, {name: "way", kind: kindWay}},
		options: []param{{"step", kindDuration, "5s"}, within("3m")}, gives: []fact{factChange}, sane: saneUpgrade, do: verbUpgrade,
	}}
}

func saneUpgrade(a arguments, k *knowledge) error {
	d, err := loadApp(a["file"])
	if err != nil {
		return err
	}
	if d.ID != a["app"] {
		return fmt.Errorf("upgrade %s %s can never hold: that is the app %s", a["app"], a["file"], d.ID)
	}
	_, _, err = readGroup(d)
	return err
}

// possibleUpgrade looks for an app of that name which is none of the script's.
func possibleUpgrade(ctx context.Context, c Cluster, a arguments, deployed map[string]bool) error {
	if deployed[a["app"]] {
		return nil
	}
	for _, id := range append(Colours(a["app"]), a["app"]) {
		if _, err := c.App(ctx, id); err == nil {
			return fmt.Errorf("upgrade: there is an app %s already, which is not this script's to change", id)
		} else if !errors.Is(err, lab.ErrNotFound) {
			return fmt.Errorf("ask for app %s: %w", id, err)
		}
	}
	deployed[a["app"]] = true
	return nil
}

// readGroup reads what zdd.py needs of a definition: a whole app with one
// service port, its group and another port for every second deployment.
func readGroup(file AppFile) (doc map[string]any, def GroupApp, err error) {
	var f struct {
		Instances int
		Labels    map[string]string
		Container struct {
			Docker struct{ PortMappings []struct{ ServicePort int } }
		}
	}
	if err := errors.Join(json.Unmarshal(file.JSON, &doc), json.Unmarshal(file.JSON, &f)); err != nil {
		return nil, def, fmt.Errorf("upgrade %s: %w", file.ID, err)
	}
	var problems []string
	if f.Labels[labelGroup] != file.ID {
		problems = append(problems, fmt.Sprintf("label %s must be %s, the app's id", labelGroup, file.ID))
	}
	alt, err := strconv.Atoi(f.Labels[labelAltPort])
	if err != nil {
		problems = append(problems, fmt.Sprintf("label %s must be a port that nobody has", labelAltPort))
	}
	if ports := f.Container.Docker.PortMappings; len(ports) != 1 || ports[0].ServicePort == 0 {
		problems = append(problems, "it must have one port mapping, with a servicePort")
	} else {
		def.Port = ports[0].ServicePort
	}
	if f.Instances < 1 {
		problems = append(problems, "instances must be at least 1")
	}
	if len(problems) > 0 {
		return nil, def, fmt.Errorf("upgrade %s: zdd.py needs a whole app: %s", file.ID, strings.Join(problems, "; "))
	}
	def.Instances, def.Target, def.Service = f.Instances, f.Instances, alt
	return doc, def, nil
}

// coloured makes the blue or the green app of a definition, as zdd.py does:
// the first deployment is blue, on the app's own port; each further one has the
// other colour and the other port, and begins with one instance.
func coloured(file AppFile, last *GroupApp, now time.Time) (AppFile, GroupApp, error) {
	doc, def, err := readGroup(file)
	if err != nil {
		return AppFile{}, GroupApp{}, err
	}
	alt := def.Service
	def.Colour, def.Service = blue, def.Port
	if last != nil {
		if last.Colour == blue {
			def.Colour = green
		}
		if last.Service == def.Port {
			def.Service = alt
		}
		def.Instances, def.Target = 1, last.Instances
	}
	def.ID = file.ID + "-" + def.Colour
	labels := maps.Clone(doc["labels"].(map[string]any)) // readGroup has read labels from it
	labels[labelAppID], labels[labelColour] = file.ID, def.Colour
	labels[labelPort], labels[labelTarget] = strconv.Itoa(def.Port), strconv.Itoa(def.Target)
	labels[labelStarted] = now.UTC().Format("2006-01-02T15:04:05.000000")
	doc["id"], doc["labels"], doc["instances"] = def.ID, labels, def.Instances
	mapping := doc["container"].(map[string]any)["docker"].(map[string]any)["portMappings"].([]any)[0].(map[string]any)
	mapping["servicePort"] = def.Service
	data, err := json.Marshal(doc)
	return AppFile{ID: def.ID, JSON: data, Builtin: file.Builtin}, def, err
}

func verbUpgrade(ctx context.Context, r *run, a arguments) error {
	file, err := loadApp(a["file"])
	if err != nil {
		return lab.Permanent(err)
	}
	apps, err := r.cluster.Group(ctx, a["app"])
	if err != nil {
		return err
	}
	if len(apps) > 1 {
		return fmt.Errorf("upgrade %s: another one is half done: %s and %s are there", a["app"], apps[0].ID, apps[1].ID)
	}
	for _, id := range Colours(a["app"]) {
		if !slices.Contains(r.deployed, id) {
			r.deployed = append(r.deployed, id)
		}
	}
	var last *GroupApp
	if len(apps) == 1 {
		last = &apps[0]
	}
	next, def, err := coloured(file, last, time.Now())
	if err != nil {
		return err
	}
	if last == nil {
		return r.request(ctx, a["app"], "Marathon is given the app "+next.ID, 0, a, func(ctx context.Context) error { return r.cluster.Create(ctx, next) })
	}
	s := &swap{r: r, group: a["app"], port: def.Port, step: a.duration("step"), old: last.ID, fresh: def.ID, target: def.Target}
	c := r.criterion("swap", "old tasks go only when the load balancer has drained them, and never fewer instances are up than wanted")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var failed error
	err = r.change(fmt.Sprintf("%s is brought beside %s, with 1 instance of %d", def.ID, last.ID, def.Target), nil, func() error {
		if err := r.cluster.Create(ctx, next); err != nil {
			return err
		}
		failed = s.run(ctx)
		return nil
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return c.unseen(failed)
	case r.opt.Placebo:
		return c.unseen(errors.New("nothing was brought"))
	}
	return c.pass("%s", strings.Join(s.did, "; "))
}

// swap is one deployment in the way of zdd.py.
type swap struct {
	r          *run
	group      string
	port       int
	step       time.Duration
	old, fresh string // apps
	target     int
	said       string
	did        []string
}

// run is zdd.py's loop: kill what is drained, add half as many new ones, until
// the old app can be deleted.
func (s *swap) run(ctx context.Context) error {
	for {
		old, fresh, err := s.apps(ctx)
		if err == nil && fresh.Deploying {
			err = s.wait(ctx, fresh.ID+" is being deployed")
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		ids, err := s.drained(ctx, old, fresh)
		if err != nil {
			return err
		}
		if fresh.Instances == s.target && len(ids) == old.Instances {
			s.did = append(s.did, fmt.Sprintf("%s deleted with %s", old.ID, s.names(ids)))
			return s.r.cluster.Remove(ctx, old.ID)
		}
		if len(ids) > 0 {
			if err := s.r.cluster.Dismiss(ctx, ids); err != nil {
				return err
			}
			s.did = append(s.did, fmt.Sprintf("%s killed beside %d of %s", s.names(ids), fresh.Instances, fresh.ID))
		}
		if fresh.Instances < s.target {
			n := s.more(old, fresh)
			s.r.moment(fmt.Sprintf("⚡ Marathon is asked for %d instances of %s", n, fresh.ID))
			if err := s.r.cluster.Scale(ctx, fresh.ID, n, false); err != nil {
				return err
			}
		}
	}
}

// more is how many instances the new app gets next: half as many again, and
// all as soon as that is no fewer than the old ones.
func (s *swap) more(old, fresh GroupApp) int {
	n := fresh.Instances + (fresh.Instances+1)/2
	if n >= old.Instances {
		return s.target
	}
	return n
}

func (s *swap) apps(ctx context.Context) (old, fresh GroupApp, err error) {
	apps, err := s.r.cluster.Group(ctx, s.group)
	if err != nil {
		return old, fresh, err
	}
	i := slices.IndexFunc(apps, func(a GroupApp) bool { return a.ID == s.old })
	j := slices.IndexFunc(apps, func(a GroupApp) bool { return a.ID == s.fresh })
	if i < 0 || j < 0 {
		return old, fresh, fmt.Errorf("of %s and %s one is gone", s.old, s.fresh)
	}
	return apps[i], apps[j], nil
}

// drained waits until the load balancer has every instance of both apps, as
// many of them up as are wanted, and at least one old task without any request
// under way; it returns these.
func (s *swap) drained(ctx context.Context, old, fresh GroupApp) ([]string, error) {
	var why string
	for {
		if err := s.wait(ctx, why); err != nil {
			return nil, err
		}
		reloading, err := s.r.cluster.Reloading(ctx)
		if err != nil || reloading {
			why = "an old process of the load balancer still answers requests"
			continue
		}
		servers, err := s.r.cluster.Listeners(ctx, s.group, s.port)
		if err != nil {
			why = err.Error() // it may be reloading
			continue
		}
		up := 0
		var idle []string // addresses
		for _, b := range servers {
			switch {
			case b.Status == statusUp:
				up++
			case b.Status == statusMaint && b.Current+b.Queued == 0:
				idle = append(idle, b.Address)
			}
		}
		switch {
		case len(servers) != old.Instances+fresh.Instances:
			why = fmt.Sprintf("the load balancer has %d servers, Marathon %d instances", len(servers), old.Instances+fresh.Instances)
		case up < s.target:
			why = fmt.Sprintf("%d servers are up, %d are wanted", up, s.target)
		case len(idle) == 0:
			why = "the load balancer has drained no old task yet"
		default:
			var ids []string
			for _, t := range old.Tasks {
				if slices.Contains(idle, fmt.Sprintf("%s:%d", t.IP, t.Port)) {
					ids = append(ids, t.ID)
				}
			}
			return ids, nil
		}
	}
}

// wait is the pause between two looks. When time is up, its error says what the
// last look has found.
func (s *swap) wait(ctx context.Context, why string) error {
	if why != "" && why != s.said {
		s.said = why
		s.r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventWait, Step: s.r.line.Text, Text: why})
	}
	t := time.NewTimer(s.step)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		if why == "" {
			why = "it has hardly begun"
		}
		return fmt.Errorf("%s: %w", why, context.Cause(ctx))
	}
}

func (s *swap) names(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, s.r.history.NameOf(id))
	}
	return strings.Join(out, ", ")
}
