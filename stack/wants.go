package stack

import (
	"encoding/json"
	"slices"
)

// WantedImages lists for each node, by its name, the images that its
// containers are made of; tasks of the apps may run on any slave.
func (p Platform) WantedImages(apps ...Definition) map[string][]string {
	out := map[string][]string{}
	add := func(node, image string) {
		if !slices.Contains(out[node], image) {
			out[node] = append(out[node], image)
		}
	}
	for _, c := range p.Containers() {
		add(c.Node, c.Image)
	}
	for _, a := range apps {
		if image := a.image(); image != "" {
			for _, n := range p.Slaves() {
				add(n.Name, image)
			}
		}
	}
	return out
}

// image is the Docker image of an app's tasks. It is "" for an app without
// one, and for one whose image Mesos has to fetch itself: by force at each
// start, or with credentials that come as a file.
func (d Definition) image() string {
	var app struct {
		URIs, Fetch []any
		Container   struct {
			Docker struct {
				Image          string
				ForcePullImage bool
				PullConfig     any
			}
		}
	}
	if err := json.Unmarshal(d.JSON, &app); err != nil {
		return "" // Marathon will say what is wrong with it
	}
	docker := app.Container.Docker
	if docker.ForcePullImage || docker.PullConfig != nil || len(app.URIs)+len(app.Fetch) > 0 {
		return ""
	}
	return docker.Image
}
