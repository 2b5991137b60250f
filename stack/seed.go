package stack

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the article's images need beyond the article's own command lines, so
// that its faults are not repeated. docs/seed.md lists them.

// mesosLogs is where the seed's start scripts let Mesos write its logs.
const mesosLogs = "/log/mesos"

// launchTimeout is how long Marathon leaves a task in staging. The seed's
// slaves give an executor 10 minutes, image pull included; a minute more lets
// the slave's verdict come before Marathon's.
const launchTimeout = 11 * time.Minute

// articleWorkDir is where the seed's slaves keep sandboxes and their identity;
// most systems empty /tmp at boot.
const articleWorkDir = "/tmp/mesos"

// workDir is the slaves' directory, at the same path on the machine and in the
// container: sandboxes are mounted by the machine's engine.
func (p Platform) workDir() string {
	switch dir := p.Spec.Mesos.Env["MESOS_WORK_DIR"]; {
	case dir != "":
		return dir
	case p.Images.Mini:
		return articleWorkDir
	}
	return p.stateDir() + "/mesos"
}

// stateDir holds on each machine what must outlive the containers. It carries
// the lab's id, so that another lab on the same machine begins clean.
func (p Platform) stateDir() string {
	_, id, _ := strings.Cut(p.Label, "/")
	return "/var/lib/lab/" + id
}

// ZooKeeperData is the folder of the master's machine in which ZooKeeper keeps
// what Marathon knows. It outlives the container.
func (p Platform) ZooKeeperData() string { return p.stateDir() + "/zookeeper" }

// keep binds a directory of the state into a container of the article's
// images; but for ZooKeeper, lab's own keep nothing that has to outlive them.
func (p Platform) keep(name, inside string) []string {
	if p.Images.Mini {
		return nil
	}
	return []string{p.stateDir() + "/" + name + ":" + inside}
}

// seedSlave is what lab tells the article's slaves in addition: where to work,
// and to run executors in containers of their own, which outlive the slave's.
func (p Platform) seedSlave() []string {
	if p.Images.Mini {
		return nil
	}
	return []string{"MESOS_WORK_DIR=" + p.workDir(), "MESOS_DOCKER_MESOS_IMAGE=" + p.Images.Mesos}
}

// marathonEnv keeps the article's Marathon from telling Mesos an address that
// the machine's name happens to have.
func (p Platform) marathonEnv(ip string) []string {
	if p.Images.Mini {
		return p.env()
	}
	return p.env("LIBPROCESS_IP=" + ip)
}

// marathonArgs is Marathon's command line. A flag that the spec gives replaces
// lab's: Marathon ends on one that it is given twice.
func (p Platform) marathonArgs(ip string) []string {
	zk := "zk://" + ip + ":" + strconv.Itoa(p.Spec.Ports.ZooKeeper) + "/"
	flags := [][2]string{{"--master", zk + "mesos"}, {"--zk", zk + "marathon"}, {"--hostname", ip}}
	if port := p.Spec.Ports.Marathon; port != marathonPort {
		flags = append(flags, [2]string{"--http_port", strconv.Itoa(port)})
	}
	if !p.Images.Mini {
		flags = append(flags, [2]string{"--task_launch_timeout", strconv.FormatInt(launchTimeout.Milliseconds(), 10)})
	}
	given := p.Spec.Marathon.Args
	var out []string
	for _, f := range flags {
		if !slices.ContainsFunc(given, func(a string) bool { return a == f[0] || strings.HasPrefix(a, f[0]+"=") }) {
			out = append(out, f[0], f[1])
		}
	}
	return append(out, given...)
}
