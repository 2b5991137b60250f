package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
)

func TestWantedImages(t *testing.T) {
	seed := []string{"kiwenlau/zookeeper:3.4.8", "kiwenlau/mesos:0.26.0", "kiwenlau/marathon:1.1.1", "kiwenlau/marathonlb:1.3.0"}
	mini := []string{"lab/zookeeper", "lab/mesos", "lab/marathon", "lab/marathon-lb"}
	for _, test := range []struct {
		name     string
		spec     lab.Spec
		features lab.Features
		want     map[string][]string
	}{
		{"seed", lab.Spec{Stack: "seed"}, vagrantFeatures, map[string][]string{"node1": seed, "node2": {"kiwenlau/mesos:0.26.0", "nginx:1.10"}, "node3": {"kiwenlau/mesos:0.26.0", "nginx:1.10"}}},
		{"mini on a real engine", lab.Spec{Stack: "mini"}, vagrantFeatures, map[string][]string{"node1": mini, "node2": {"lab/mesos", "lab/web"}, "node3": {"lab/mesos", "lab/web"}}},
		{"mini, embedded", lab.Spec{}, localFeatures, map[string][]string{"node1": mini, "node2": {"lab/mesos", "nginx:1.10"}, "node3": {"lab/mesos", "nginx:1.10"}}},
		{"one image for all", lab.Spec{Images: lab.ImagesSpec{ZooKeeper: "a", Mesos: "a", Marathon: "a", MarathonLB: "a", Nginx: "a"}}, localFeatures,
			map[string][]string{"node1": {"a"}, "node2": {"a"}, "node3": {"a"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := mustPlatform(t, test.spec, test.features, nodesAt("192.168.59.0/24", 2))
			if diff := cmp.Diff(test.want, p.WantedImages(p.SampleApp(false))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppImage(t *testing.T) {
	for text, want := range map[string]string{
		`{"id":"a","cmd":"true"}`:                                                              "",
		`{"id":"a","container":{"docker":{"image":"redis:7"}}}`:                                "redis:7",
		`{"id":"a","container":{"docker":{"image":"redis:7","forcePullImage":true}}}`:          "",
		`{"id":"a","uris":["file:///docker.tar.gz"],"container":{"docker":{"image":"r/app"}}}`: "",
		`{"id":"a","fetch":[{"uri":"x"}],"container":{"docker":{"image":"r/app"}}}`:            "",
		`{"id":"a","uris":[],"container":{"docker":{"image":"r/app"}}}`:                        "r/app",
		`{"id":"a","container":{"docker":{"image":7}}}`:                                        "",
	} {
		if got := (Definition{JSON: []byte(text)}).image(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
