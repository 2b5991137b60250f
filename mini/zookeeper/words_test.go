package zookeeper

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// ask sends a word and returns the whole answer.
func ask(t *testing.T, addr, word string) string {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// The line end is what `echo ruok | nc` sends; it is not read.
	if _, err := io.WriteString(nc, word+"\n"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return string(b)
}

func TestWords(t *testing.T) {
	root := t.TempDir()
	zooCfg(t, root, "tickTime=1000\nclientPort=12181\n")
	addr := start(t, root, loopback, "start-foreground", "/conf/zoo.cfg").addr
	c := dial(t, addr, 10*time.Second, nil)
	c.create(t, "/eph", zk.FlagEphemeral)
	if _, _, _, err := c.ChildrenW("/"); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := c.GetW("/eph"); err != nil {
		t.Fatal(err)
	}
	sid := fmt.Sprintf("0x%x", c.SessionID())
	version := `3\.4\.14-lab, built on \d\d/\d\d/\d{4} \d\d:\d\d GMT`
	summary := `Latency min/avg/max: \d+/\d+/\d+\nReceived: \d+\nSent: \d+\nConnections: 2\nOutstanding: 0\nZxid: 0x2\nMode: standalone\nNode count: 5\n`
	for word, want := range map[string]string{
		"ruok": `imok`,
		"isro": `rw`,
		"srvr": `Zookeeper version: ` + version + `\n` + summary,
		"stat": `Zookeeper version: ` + version + `\nClients:\n( /127\.0\.0\.1:\d+\[[01]\]\(queued=0,recved=\d+,sent=\d+\)\n){2}\n` + summary,
		"mntr": `zk_version\t` + version + `\nzk_avg_latency\t\d+\nzk_max_latency\t\d+\nzk_min_latency\t\d+\nzk_packets_received\t\d+\n` +
			`zk_packets_sent\t\d+\nzk_num_alive_connections\t2\nzk_outstanding_requests\t0\nzk_server_state\tstandalone\nzk_znode_count\t5\n` +
			`zk_watch_count\t2\nzk_ephemerals_count\t1\nzk_approximate_data_size\t35\n`,
		"conf": `clientPort=12181\ndataDir=/tmp/zookeeper/lab-v1\ndataLogDir=/tmp/zookeeper/lab-v1\ntickTime=1000\nmaxClientCnxns=60\n` +
			`minSessionTimeout=2000\nmaxSessionTimeout=20000\nserverId=0\n`,
		"cons": `( /127[^\n]*\n){2}\n`,
		"envi": `Environment:\nzookeeper.version=` + version + `\nhost\.name=node1\n(.*=.*\n)+`,
		"dump": `SessionTracker dump:\nSession Sets \(1\):\n1 expire at .*:\n\t` + sid + `\nephemeral nodes dump:\nSessions with Ephemerals \(1\):\n` + sid + `:\n\t/eph\n`,
		"wchs": `1 connections watching 2 paths\nTotal watches:2\n`,
		"wchc": sid + `\n\t/\n\t/eph\n\n`,
		"wchp": `/\n\t` + sid + `\n/eph\n\t` + sid + `\n\n`,
		"crst": `Connection stats reset\.\n`,
		"srst": `Server stats reset\.\n`,
	} {
		if got := ask(t, addr, word); !regexp.MustCompile(`^(?:` + want + `)$`).MatchString(got) {
			t.Errorf("%s:\n%s\nwant %s", word, got, want)
		}
	}
	line := regexp.MustCompile(`(?m)^ /127\.0\.0\.1:\d+\[1\]\(queued=0,recved=\d+,sent=\d+,sid=` + sid + `,lop=\w+,est=\d+,to=10000,lcxid=0x\d+,lzxid=0x2,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)$`)
	if _, _, err := c.Get("/eph"); err != nil { // after crst
		t.Fatal(err)
	}
	if got := ask(t, addr, "cons"); !line.MatchString(got) {
		t.Errorf("cons: %s", got)
	}
}

// The zk package reads some words itself.
func TestWordsAreReadByTheClientPackage(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	c := dial(t, addr, 10*time.Second, nil)
	c.create(t, "/a", 0)
	if oks := zk.FLWRuok([]string{addr}, time.Minute); len(oks) != 1 || !oks[0] {
		t.Errorf("ruok: %v", oks)
	}
	stats, ok := zk.FLWSrvr([]string{addr}, time.Minute)
	if !ok || stats[0].Mode != zk.ModeStandalone || stats[0].NodeCount != 5 || stats[0].Counter != 2 || stats[0].Connections != 2 {
		t.Errorf("srvr: %+v", stats[0])
	}
	// Its ok is false for the line of the asking connection, here as with
	// the real server.
	conns, _ := zk.FLWCons([]string{addr}, time.Minute)
	if len(conns[0].Clients) != 1 || conns[0].Clients[0].SessionID != c.SessionID() || conns[0].Clients[0].LastOperation != "CREA" {
		t.Errorf("cons: %+v", conns[0])
	}
}

func TestBuildTimeIsATime(t *testing.T) {
	_, built, ok := strings.Cut(fullVersion(), ", built on ")
	if _, err := time.Parse("01/02/2006 15:04 MST", built); !ok || err != nil {
		t.Errorf("%q: %v", fullVersion(), err)
	}
}
