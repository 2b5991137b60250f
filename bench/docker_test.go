//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
)

// dockerRounds is how often figures of machines in containers are taken.
const dockerRounds = 5

// BenchmarkDockerCreate makes and removes labs of machines in containers, on an
// engine of its own that has the machine image.
//
//	create    from the start of the command to the first page of nginx through
//	          the load balancer
//	from-ssh  the part of that after all machines have answered SSH
//	command   the same command from start to end
//	again     lab create on the whole lab
//	status    lab status
//	destroy   lab destroy
//	plain     three machines of the same image by the docker command alone,
//	          until SSH and engines answer: what this computer can do
func BenchmarkDockerCreate(b *testing.B) {
	engine := rig.Inside(b)
	if engine == nil {
		return
	}
	b.Log(machineSize())
	create, fromSSH, command, again, status, destroy, plain := in("ms"), in("ms"), in("ms"), in("ms"), in("ms"), in("ms"), in("ms")
	for b.Loop() {
		for range dockerRounds {
			l := rig.NewDocker(b, engine)
			served, ssh, took := timedDockerCreate(b, l)
			create.addTime(served)
			fromSSH.addTime(served - ssh)
			command.addTime(took)
			l.AwaitWhole()
			again.addTime(timed(func() { l.Must("create") }))
			status.addTime(timed(func() { l.Must("status") }))
			destroy.addTime(timed(func() { l.Must("destroy") }))
			l.MustBeGone()
			plain.addTime(plainBoot(b, engine))
		}
	}
	create.report(b, "create")
	fromSSH.report(b, "from-ssh")
	command.report(b, "command")
	again.report(b, "again")
	status.report(b, "status")
	destroy.report(b, "destroy")
	plain.report(b, "plain")
}

// timedDockerCreate returns, counted from the start of the command, when nginx
// answered first, when the last machine answered SSH, and when the command
// ended. It logs where the time went.
func timedDockerCreate(b *testing.B, l *rig.Lab) (served, ssh, took time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), rig.Patience)
	defer cancel()
	start := time.Now()
	answered := make(chan error, 1)
	go func() {
		err := lab.Until(ctx, 5*time.Millisecond, "nginx", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second) // before there is a network, packets get lost
			defer cancel()
			a, err := rig.Ask(ctx, http.MethodGet, l.URL(1, 10000, "/"), "", nil)
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("status %d", a.Status)
			}
			return err
		})
		served = time.Since(start)
		answered <- err
	}()
	var where strings.Builder
	end := l.Start("create").Wait(func(e lab.Event) {
		if e.Kind == lab.EventDone || e.Kind == lab.EventNote {
			fmt.Fprintf(&where, "%6d ms  %s %s %s\n", e.Time.Sub(start).Milliseconds(), e.Node, e.Step, e.Text)
		}
		if e.Kind == lab.EventStart && strings.HasSuffix(e.Step, "/ssh") {
			ssh = e.Time.Sub(start)
		}
	})
	took = time.Since(start)
	if end.Code != 0 {
		b.Fatal(end)
	}
	if err := <-answered; err != nil {
		b.Fatal(err)
	}
	b.Logf("served after %s, SSH after %s\n%s", served.Round(time.Millisecond), ssh.Round(time.Millisecond), where.String())
	return served, ssh, took
}
