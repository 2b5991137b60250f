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
