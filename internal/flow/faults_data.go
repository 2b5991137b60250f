package flow

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/scenarios"
)

// What is done to ZooKeeper's folder while its container is stopped. Each may
// be repeated: what was laid aside first is what is put back.
const (
	layAside = `[ -e "$1.kept" ] || mv "$1" "$1.kept"; rm -rf "$1"; mkdir -p "$1"`
	putBack  = `if [ -e "$1.kept" ]; then rm -rf "$1"; mv "$1.kept" "$1"; fi`
)

// withoutData stops a component's container, does something to what it keeps,
// and starts it again.
func (v *live) withoutData(ctx context.Context, f scenarios.Fault, script string) error {
	host, err := v.host(ctx, f.Node)
	if err != nil {
		return err
	}
	docker, err := host.Docker(ctx)
	if err != nil {
		return err
	}
	patience := stopSeconds
	if _, err := docker.ContainerStop(ctx, f.Container, client.ContainerStopOptions{Timeout: &patience}); err != nil {
		return fmt.Errorf("%s %s: stop it: %w", f.Verb, f.Thing(), err)
	}
	words := []string{"sh", "-ec", script, "sh", v.platform.ZooKeeperData()}
	if !host.Root() {
		words = append([]string{"sudo", "-n"}, words...)
	}
	if out, err := host.Run(ctx, provision.Quote(words...), nil); err != nil {
		return fmt.Errorf("%s %s: %w: %s", f.Verb, f.Thing(), err, strings.TrimSpace(string(out)))
	}
	if _, err := docker.ContainerStart(ctx, f.Container, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("%s %s: start it again: %w", f.Verb, f.Thing(), err)
	}
	return nil
}
