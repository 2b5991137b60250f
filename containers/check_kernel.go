package containers

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// firewall tells of rules that people have put before Docker's own, and of a
// kernel that forwards nothing. Machines talk to each other and to this
// computer without either, unless the bridge is told to ask the firewall.
func (q *inquiry) firewall(ctx context.Context) []lab.Finding {
	const id = "engine-firewall"
	if q.ask(ctx) != nil {
		return nil
	}
	var found []lab.Finding
	if !q.info.IPv4Forwarding {
		found = append(found, computer.Warn(id, "sudo sysctl net.ipv4.ip_forward=1", "this computer forwards no packets: machines reach no network outside"))
	}
	bridged, err := q.computer.Read("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(bridged) != "1" || q.computer.UID != 0 {
		return found // nobody asks it, or it cannot be asked
	}
	out, err := q.computer.Run(ctx, "iptables", "-S", "DOCKER-USER")
	if err != nil {
		return found
	}
	for line := range strings.Lines(out.Out) {
		if strings.Contains(line, "-j DROP") || strings.Contains(line, "-j REJECT") {
			return append(found, computer.Note(id, "if machines do not reach each other, look there first", "the firewall has rules of its own before Docker's: iptables %s", strings.TrimSpace(line)))
		}
	}
	return found
}

// Each systemd and each dockerd watches files; all machines share this
// computer's limit for root. A machine at rest takes some ten; what it may
// want with containers in it is what Linux gives a whole computer.
const (
	inotifyAtRest = 24
	inotifyEach   = 128
)

// inotify looks at the kernel's limit of watchers.
func (q *inquiry) inotify(context.Context) []lab.Finding {
	const id, file = "inotify", "/proc/sys/fs/inotify/max_user_instances"
	text, err := q.computer.Read(file)
	if err != nil {
		return nil // not Linux
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return computer.Unseen(id, err)
	}
	machines := len(q.plan.Nodes)
	advice := fmt.Sprintf("sudo sysctl fs.inotify.max_user_instances=%d", max(512, inotifyEach*machines))
	switch {
	case n < inotifyAtRest*machines:
		return []lab.Finding{computer.Warn(id, advice, "root may have %d inotify instances: too few for systemd and Docker on %d machines (too many open files)", n, machines)}
	case n < inotifyEach*machines:
		return []lab.Finding{computer.Note(id, advice, "root may have %d inotify instances for %d machines and all that runs on them", n, machines)}
	}
	return []lab.Finding{computer.OK(id, "root may have %d inotify instances", n)}
}
