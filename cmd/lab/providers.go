package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/containers"
	"github.com/mesoslab/lab/local"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/machine"
	"github.com/mesoslab/lab/provision/images"
	"github.com/mesoslab/lab/vagrant"
)

// providers makes every provider that this version knows.
func (a *app) providers() (map[string]lab.Provider, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	opt := local.Options{Executable: exe}
	// Tests hand in a pipe whose end takes all machines along.
	if text, ok := a.getenv("LAB_DIE_WITH_FD"); ok {
		fd, err := strconv.Atoi(text)
		if err != nil {
			return nil, usage("LAB_DIE_WITH_FD=%q: %v", text, err)
		}
		opt.DieWithFD = os.NewFile(uintptr(fd), "die-with")
	}
	dockerHost, _ := a.getenv("DOCKER_HOST")
	vms := vagrant.New(vagrant.Options{Force: a.force})
	a.killer.add(vms.Kill)
	return map[string]lab.Provider{
		"local":   local.New(opt),
		"docker":  containers.New(containers.Options{Host: dockerHost}),
		"vagrant": vms,
	}, nil
}

// catalogue lists the images of embedded engines: the mini stack, and nginx
// as an alias of its web server, so that the article's nginx.json runs
// unchanged.
func catalogue() []engine.Image {
	mini := func(name string, words ...string) engine.Image {
		return engine.Image{Name: name, Entrypoint: append([]string{"/lab", "mini"}, words...), Labels: map[string]string{images.Label: images.BuiltIn}}
	}
	web := mini("lab/web")
	web.Cmd, web.Aliases, web.ExposedPorts = []string{"nginx", "-g", "daemon off;"}, []string{"nginx"}, []string{"80/tcp"}
	zookeeper := mini("lab/zookeeper")
	zookeeper.Cmd = []string{"zkServer.sh", "start-foreground"}
	lb := mini("lab/marathon-lb")
	lb.Cmd = []string{"start-marathonlb.sh"}
	return []engine.Image{zookeeper, mini("lab/mesos"), mini("lab/marathon", "marathon"), lb, web}
}

// runMachine is the process of an embedded machine: "lab machine run FOLDER".
func runMachine(args []string, stderr io.Writer) int {
	return machine.Main(context.Background(), args, machine.Config{Catalogue: catalogue(), Version: buildVersion().Version, Log: stderr})
}
