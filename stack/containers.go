package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Labels that only our containers carry.
const (
	LabelName = "lab.name" // <name>/<id> of the lab
	LabelSpec = "lab.spec" // hash of the definition
)

// The article's ports, which need not be said.
const (
	zkPort       = 2181
	mesosPort    = 5050
	marathonPort = 8080
	lbPort       = 9090
)

// Gate names the condition under which a container counts as ready.
type Gate string

// The gates, in the order in which they open.
const (
	GateZooKeeper Gate = "zookeeper" // answers ruok
	GateMaster    Gate = "master"    // this master is elected
	GateSlave     Gate = "slave"     // the master counts this slave as active
	GateMarathon  Gate = "marathon"  // leads, and Mesos has registered it
	GateLB        Gate = "lb"        // answers its health check
)

// Container is the definition of one container, in Docker's words.
type Container struct {
	Name  string   `json:"name"`
	Node  string   `json:"node"`
	Image string   `json:"image"`
	Cmd   []string `json:"cmd,omitempty"` // empty: the image's own
	Env   []string `json:"env,omitempty"` // NAME=value
	Binds []string `json:"binds,omitempty"`
	// Network is always host; Restart always "always": master, slave and
	// Marathon exit on purpose in failures and must come back.
	Network    string `json:"network"`
	Restart    string `json:"restart"`
	Privileged bool   `json:"privileged,omitempty"`
	PidHost    bool   `json:"pid_host,omitempty"`
	// LogSize bounds each of the files that the engine keeps of the output;
	// "" is the engine's own choice.
	LogSize string `json:"log_size,omitempty"`
	// After names the containers that must be ready before this one starts.
	After []string `json:"-"`
	Ready Gate     `json:"-"`
	// Labels are lab.name and lab.spec.
	Labels map[string]string `json:"-"`
}

// Names of the containers; slaves are mesos_slave1 … (the article's words).
const (
	nameZooKeeper  = "zookeeper"
	nameMaster     = "mesos_master"
	nameMarathon   = "marathon"
	nameMarathonLB = "marathon-lb"
	nameSlave      = "mesos_slave"
)

// Containers returns the definitions, the master's first.
func (p Platform) Containers() []Container {
	master := p.Master()
	ip := master.IP.String()
	out := []Container{
		{Name: nameZooKeeper, Node: master.Name, Image: p.Images.ZooKeeper, Cmd: p.words("zkServer.sh", "start-foreground"),
			Env: p.env(p.ifNot("ZOO_PORT", p.Spec.Ports.ZooKeeper, zkPort), p.zooKeeperFlush()), Binds: []string{p.ZooKeeperData() + ":/tmp/zookeeper"}, Ready: GateZooKeeper},
		{Name: nameMaster, Node: master.Name, Image: p.Images.Mesos, Cmd: []string{"start-mesos-master.sh"}, Env: p.masterEnv(ip),
			Binds: slices.Concat(p.keep("mesos-master", "/var/lib/mesos"), p.keep("log/"+nameMaster, mesosLogs)), After: []string{nameZooKeeper}, Ready: GateMaster},
		{Name: nameMarathon, Node: master.Name, Image: p.Images.Marathon, Cmd: append(p.marathonArgs(ip), p.Flags[nameMarathon]...),
			Env: p.marathonEnv(ip), After: []string{nameMaster}, Ready: GateMarathon},
		{Name: nameMarathonLB, Node: master.Name, Image: p.Images.MarathonLB, Cmd: p.lbWords(),
			Env: p.lbEnv(ip), Privileged: p.privileged(), After: []string{nameMarathon}, Ready: GateLB},
	}
	for i, n := range p.Slaves() {
		name := nameSlave + strconv.Itoa(i+1)
		out = append(out, Container{
			Name: name, Node: n.Name, Image: p.Images.Mesos, Cmd: []string{"start-mesos-slave.sh"}, Env: p.slaveEnv(ip, n),
			Binds: append([]string{"/var/run/docker.sock:/var/run/docker.sock", "/sys:/sys", p.workDir() + ":" + p.workDir()},
				p.keep("log/"+name, mesosLogs)...),
			Privileged: p.privileged(), PidHost: true, After: []string{nameMaster}, Ready: GateSlave,
		})
	}
	for i := range out {
		out[i].Network, out[i].Restart = "host", "always"
		if !p.Embedded {
			out[i].LogSize = "10m"
		}
		out[i].Labels = map[string]string{LabelName: p.Label, LabelSpec: out[i].hash()}
	}
	return out
}

// zooKeeperFlush spares a ZooKeeper the flush of each transaction to the disk
// where nothing can be lost for want of it: on a slow disk that is most of what
// lab create takes.
func (p Platform) zooKeeperFlush() string {
	if p.OwnKernel {
		return ""
	}
	return "JVMFLAGS=-Dzookeeper.forceSync=no"
}

// privileged says what the load balancer and the slaves are: the seed's move
// firewall rules and control groups. The mini stack's do not, and so they also
// run where a computer cannot give a container everything.
func (p Platform) privileged() bool { return !p.Images.Mini }

// words is a command that the seed's start script leaves to the image.
func (p Platform) words(cmd ...string) []string {
	if p.Images.Mini {
		return cmd
	}
	return nil
}

func (p Platform) masterEnv(ip string) []string {
	return p.env(p.withFlags(nameMaster, p.withExtra(
		"LOCAL_IP="+ip,
		"MESOS_SLAVE_PING_TIMEOUT="+mesosDuration(p.PingTimeout),
		"MESOS_MAX_SLAVE_PING_TIMEOUTS="+strconv.Itoa(p.PingTimeouts),
		setting("MESOS_PORT", p.Spec.Ports.Mesos, mesosPort),
		p.ifNot("LAB_ZK_PORT", p.Spec.Ports.ZooKeeper, zkPort),
	))...)
}

// registrationBackoff is up to how long a slave waits, by chance, before it
// first registers with a master that it has found. Mesos' own second spares a
// master thousands of slaves at once; here there are a few. (Mesos 0.26,
// docs/configuration.md, --registration_backoff_factor)
const registrationBackoff = "100ms"

func (p Platform) slaveEnv(master string, n lab.Node) []string {
	env := []string{
		"MASTER_IP=" + master, "LOCAL_IP=" + n.IP.String(),
		"MESOS_REGISTRATION_BACKOFF_FACTOR=" + registrationBackoff,
		p.ifNot("LAB_ZK_PORT", p.Spec.Ports.ZooKeeper, zkPort),
	}
	if r := p.resources(n); r != "" {
		env = append(env, "MESOS_RESOURCES="+r)
	}
	if a := p.Spec.Mesos.Attributes; a != "" {
		env = append(env, "MESOS_ATTRIBUTES="+a)
	}
	if p.Images.Mini && p.commandsAsRoot() {
		env = append(env, "LAB_ALLOW_ROOT_CMD=1")
	}
	return p.env(p.withExtra(append(env, p.seedSlave()...)...)...)
}

// commandsAsRoot says whether tasks may run commands where the slave is root.
// On an embedded machine root there is root of this computer: the spec must say
// so. On a real machine a command stays in the slave's container, and who may
// have one run there may have any other container run as well.
func (p Platform) commandsAsRoot() bool { return !p.Embedded || p.Spec.Local.AllowRootCmd }

// resources are the spec's, or the machine's wanted size where Mesos would detect
// the whole computer's, other in each run.
func (p Platform) resources(n lab.Node) string {
	if r := p.Spec.Mesos.Resources; r != "" || p.OwnKernel {
		return r
	}
	r := fmt.Sprintf("cpus:%d;mem:%d", n.CPUs, n.MemoryMiB)
	if n.DiskMiB > 0 {
		r += fmt.Sprintf(";disk:%d", n.DiskMiB)
	}
	return r + ";ports:[31000-32000]"
}

func (p Platform) lbEnv(ip string) []string {
	env := []string{"LOCAL_IP=" + ip}
	if p.Images.Mini {
		env = append(env, fmt.Sprintf("MARATHON_URL=http://%s:%d", ip, p.Spec.Ports.Marathon),
			p.ifNot("LAB_LB_STATS_PORT", p.Spec.Ports.LBStats, lbPort))
		if p.Embedded {
			env = append(env, "LAB_DONT_BIND_HTTP_HTTPS=1")
		}
	}
	return p.env(env...)
}

// withExtra adds mesos.env of the spec, for master and slaves. It wins over
// what lab says, and an empty value takes that away.
func (p Platform) withExtra(vars ...string) []string {
	vars = slices.DeleteFunc(vars, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, given := p.Spec.Mesos.Env[name]
		return given
	})
	for _, k := range slices.Sorted(maps.Keys(p.Spec.Mesos.Env)) {
		if value := p.Spec.Mesos.Env[k]; value != "" {
			vars = append(vars, k+"="+value)
		}
	}
	return vars
}

// guardNames is the variable with the names that are as good as an address in
// a Host header (package mini).
const guardNames = "LAB_GUARD_NAMES="

// env drops empty entries and adds what every mini program on an embedded
// machine gets: who may speak to its control port.
func (p Platform) env(vars ...string) []string {
	vars = slices.DeleteFunc(vars, func(v string) bool { return v == "" })
	if !p.Images.Mini {
		return vars
	}
	var names []string
	for _, n := range p.Nodes {
		names = append(names, n.Name, n.Alias())
	}
	vars = append(vars, guardNames+strings.Join(names, ","))
	if p.Embedded && !p.Spec.Local.AllowOtherUsers {
		vars = append(vars, "LAB_GUARD_SAME_USER=1")
	}
	return vars
}

// ifNot is a setting that only the mini stack knows.
func (p Platform) ifNot(name string, value, usual int) string {
	if !p.Images.Mini {
		return ""
	}
	return setting(name, value, usual)
}

// setting is NAME=value, or nothing for the article's own value.
func setting(name string, value, usual int) string {
	if value == usual {
		return ""
	}
	return name + "=" + strconv.Itoa(value)
}

// mesosDuration writes a duration as Mesos reads it: 2secs, 1500ms, 15mins.
func mesosDuration(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Minute, "mins"}, {time.Second, "secs"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d), 10) + "ns"
}

// hash identifies a definition: another hash means that the container is made
// again. Labels, gates and order are not part of it, nor are the names of all
// machines: one more slave must not restart the others.
func (c Container) hash() string {
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(v string) bool { return strings.HasPrefix(v, guardNames) })
	data, err := json.Marshal(c)
	if err != nil {
		panic("stack: a container of strings and bools marshals: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}
