package zookeeper

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Version is what this server calls itself: the release whose protocol and
// rules it follows, and that it is not that release.
const Version = "3.4.14-lab"

// printFunc prints the answer to a word while server.mu is held.
type printFunc func(s *server, asking *conn, b *strings.Builder)

// printer finds a four-letter word, nil if it is none. The answers have the
// shapes that 3.4's NIOServerCnxn gives them.
func printer(word string) printFunc {
	switch word {
	case "ruok":
		return func(_ *server, _ *conn, b *strings.Builder) { b.WriteString("imok") }
	case "isro":
		return func(_ *server, _ *conn, b *strings.Builder) { b.WriteString("rw") }
	case "srvr":
		return (*server).srvr
	case "stat":
		return (*server).stat
	case "mntr":
		return (*server).mntr
	case "conf":
		return (*server).conf
	case "cons":
		return (*server).cons
	case "envi":
		return (*server).envi
	case "dump":
		return (*server).dump
	case "srst":
		return (*server).srst
	case "crst":
		return (*server).crst
	case "wchs":
		return (*server).wchs
	case "wchc":
		return (*server).wchc
	case "wchp":
		return (*server).wchp
	}
	return nil
}

// answer writes the answer to a word.
func (s *server) answer(c *conn, print printFunc) error {
	var b strings.Builder
	s.mu.Lock()
	s.received(c)
	print(s, c, &b)
	c.gone = true // it only lingers until the answer is read
	s.mu.Unlock()
	if _, err := c.nc.Write([]byte(b.String())); err != nil {
		return nil // the client is gone
	}
	return errEnded
}

// fullVersion adds the time of the build, or 1970 if the binary does not know.
func fullVersion() string {
	built := time.Unix(0, 0)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, v := range info.Settings {
			if t, err := time.Parse(time.RFC3339, v.Value); v.Key == "vcs.time" && err == nil {
				built = t
			}
		}
	}
	return fmt.Sprintf("%s, built on %s", Version, built.UTC().Format("01/02/2006 15:04 GMT"))
}

func (s *server) srvr(_ *conn, b *strings.Builder) {
	fmt.Fprintf(b, "Zookeeper version: %s\n", fullVersion())
	s.summary(b)
}

func (s *server) summary(b *strings.Builder) {
	l := s.stats.latency
	fmt.Fprintf(b, "Latency min/avg/max: %d/%d/%d\n", l.min, l.avg(), l.max)
	fmt.Fprintf(b, "Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n", s.stats.received, s.stats.sent, len(s.alive()), s.disk.asked-s.disk.stored)
	fmt.Fprintf(b, "Zxid: 0x%x\nMode: standalone\nNode count: %d\n", s.state.Zxid, s.nodeCount())
}

// nodeCount counts the root twice, as ZooKeeper does: it has "" and "/".
func (s *server) nodeCount() int { return s.state.Tree.Len() + 1 }

func (s *server) stat(c *conn, b *strings.Builder) {
	fmt.Fprintf(b, "Zookeeper version: %s\nClients:\n", fullVersion())
	for _, v := range s.alive() {
		fmt.Fprintf(b, " /%s[%d](queued=%d,recved=%d,sent=%d)\n", v.remote, v.interest(c), v.out.queued(), v.stats.received, v.stats.sent)
	}
	b.WriteString("\n")
	s.summary(b)
}

// interest is 0 for the connection that asks, which will read no more, else 1.
func (c *conn) interest(asking *conn) int {
	if c == asking {
		return 0
	}
	return 1
}

// alive returns the conns that are not about to end, sorted by address.
func (s *server) alive() []*conn {
	var conns []*conn
	for c := range s.conns {
		if !c.gone {
			conns = append(conns, c)
		}
	}
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.remote, b.remote) })
	return conns
}

func (s *server) mntr(_ *conn, b *strings.Builder) {
	l := s.stats.latency
	ephemerals := 0
	for _, id := range s.state.Tree.Owners() {
		ephemerals += len(s.state.Tree.Ephemerals(id))
	}
	for _, v := range []struct {
		key   string
		value any
	}{
		{"version", fullVersion()},
		{"avg_latency", l.avg()},
		{"max_latency", l.max},
		{"min_latency", l.min},
		{"packets_received", s.stats.received},
		{"packets_sent", s.stats.sent},
		{"num_alive_connections", len(s.alive())},
		{"outstanding_requests", 0},
		{"server_state", "standalone"},
		{"znode_count", s.nodeCount()},
		{"watch_count", s.watches.len()},
		{"ephemerals_count", ephemerals},
		{"approximate_data_size", s.state.Tree.Size()},
	} {
		fmt.Fprintf(b, "zk_%s\t%v\n", v.key, v.value)
	}
}

func (s *server) conf(_ *conn, b *strings.Builder) {
	dir := path.Join(s.cfg.dataDir, dataFolder)
	fmt.Fprintf(b, "clientPort=%d\ndataDir=%s\ndataLogDir=%s\ntickTime=%d\nmaxClientCnxns=%d\n",
		s.cfg.port, dir, dir, s.cfg.tick.Milliseconds(), s.cfg.perHost)
	fmt.Fprintf(b, "minSessionTimeout=%d\nmaxSessionTimeout=%d\nserverId=0\n", s.cfg.min.Milliseconds(), s.cfg.max.Milliseconds())
}

func (s *server) cons(c *conn, b *strings.Builder) {
	for _, v := range s.alive() {
		st := v.stats
		fmt.Fprintf(b, " /%s[%d](queued=%d,recved=%d,sent=%d", v.remote, v.interest(c), v.out.queued(), st.received, st.sent)
		if v.session != nil {
			l := st.latency
			fmt.Fprintf(b, ",sid=0x%x,lop=%s,est=%d,to=%d,lcxid=0x%x,lzxid=0x%x,lresp=%d,llat=%d,minlat=%d,avglat=%d,maxlat=%d",
				v.session.id, st.last.Short(), st.since.UnixMilli(), v.session.timeout.Milliseconds(),
				uint32(st.xid), st.zxid, st.replied.UnixMilli(), l.last, l.min, l.avg(), l.max)
		}
		b.WriteString(")\n")
	}
	b.WriteString("\n")
}

func (s *server) envi(_ *conn, b *strings.Builder) {
	fmt.Fprintf(b, "Environment:\nzookeeper.version=%s\nhost.name=%s\ngo.version=%s\nos.name=%s\nos.arch=%s\n",
		fullVersion(), s.hostname, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func (s *server) dump(_ *conn, b *strings.Builder) {
	ids := slices.Sorted(maps.Keys(s.sessions))
	fmt.Fprintf(b, "SessionTracker dump:\nSession Sets (%d):\n", len(ids))
	for _, id := range ids {
		fmt.Fprintf(b, "1 expire at %s:\n\t0x%x\n", s.sessions[id].deadline.UTC().Format(time.UnixDate), id)
	}
	owners := s.state.Tree.Owners()
	fmt.Fprintf(b, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(owners))
	for _, id := range owners {
		fmt.Fprintf(b, "0x%x:\n", id)
		for _, p := range s.state.Tree.Ephemerals(id) {
			fmt.Fprintf(b, "\t%s\n", p)
		}
	}
}

func (s *server) srst(_ *conn, b *strings.Builder) {
	s.stats = stats{}
	b.WriteString("Server stats reset.\n")
}

func (s *server) crst(_ *conn, b *strings.Builder) {
	for c := range s.conns {
		c.stats = connStats{since: c.stats.since}
	}
	b.WriteString("Connection stats reset.\n")
}
