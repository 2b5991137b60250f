//go:build linux

package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/containers"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
)

// The yardstick's network: one that no lab of the benchmarks is on.
const (
	plainNetwork = "yardstick"
	plainPrefix  = "192.168.63."
)

// plainInit makes a machine's engine start at boot and listen on TCP.
const plainInit = `echo 'DOCKER_OPTS="-H tcp://0.0.0.0:2375 --tls=false"' >/etc/default/docker &&
ln -s /lib/systemd/system/docker.service /etc/systemd/system/multi-user.target.wants/ && exec /usr/lib/lab/init`

// plainBoot is the yardstick for BenchmarkDockerCreate: how long this computer
// takes to start three machines, by hand, with the docker command: from the
// first `docker run` until SSH servers and engines of all three answer.
// Nothing of lab is in it but the image.
func plainBoot(b *testing.B, engine *dockerd.Engine) time.Duration {
	b.Helper()
	recipe, err := containers.NewRecipe()
	if err != nil {
		b.Fatal(err)
	}
	image, err := recipe.Image()
	if err != nil {
		b.Fatal(err)
	}
	docker := func(args ...string) {
		b.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(b.Context()), "docker", args...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+engine.Host)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Errorf("docker %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	docker("network", "create", "--subnet", plainPrefix+"0/24", "--gateway", plainPrefix+"254", plainNetwork)
	defer docker("network", "rm", plainNetwork)
	var machines sync.WaitGroup
	start := time.Now()
	for n := 1; n <= 3; n++ {
		name, address := fmt.Sprintf("%s%d", plainNetwork, n), fmt.Sprintf("%s%d", plainPrefix, n)
		defer docker("volume", "rm", name)
		defer docker("rm", "--force", name)
		machines.Go(func() {
			docker("run", "--detach", "--pull=never", "--name", name, "--hostname", name, "--network", plainNetwork, "--ip", address,
				"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cgroupns=private", "--device-cgroup-rule", "a *:* rwm",
				"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
				"--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "--volume", name+":/var/lib/docker",
				image, "/bin/sh", "-c", plainInit)
			if err := awaitPlain(b.Context(), address); err != nil {
				b.Error(err)
			}
		})
	}
	machines.Wait()
	took := time.Since(start)
	if b.Failed() {
		b.FailNow()
	}
	return took
}

// awaitPlain waits for the greeting of a machine's SSH server and for an
// answer of its engine.
func awaitPlain(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	err := lab.Until(ctx, 20*time.Millisecond, "SSH on "+address, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address+":22")
		if err != nil {
			return err
		}
		defer c.Close()
		deadline, _ := ctx.Deadline()
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
		greeting, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && !strings.HasPrefix(greeting, "SSH-") {
			err = errors.New(greeting)
		}
		return err
	})
	if err != nil {
		return err
	}
	return lab.Until(ctx, 20*time.Millisecond, "the engine on "+address, func(ctx context.Context) error {
		a, err := rig.Ask(ctx, http.MethodGet, "http://"+address+":2375/_ping", "", nil)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("status %d", a.Status)
		}
		return err
	})
}
