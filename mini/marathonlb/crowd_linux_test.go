package marathonlb

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestHAProxyManyConnections: 5,000 clients that say half a request to a real
// HAProxy are held and then closed; other ports serve meanwhile, and so does
// theirs afterwards. What they cost is bounded.
func TestHAProxyManyConnections(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	n := 5000
	if testing.Short() {
		n = 500
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < uint64(3*n) { // HAProxy gives one frontend three eighths of them
		labtest.Missing(t, fmt.Sprintf("%d connections need %d descriptors, there may be %d", n, 3*n, limit.Max))
	}
	l := startReal(t)
	server := l.prefix + "2:31000"
	l.set(webApp("/nginx", 10000, server), webApp("/other", 10001, server))
	l.await(":10000/", 200, "from ")
	l.await(":10001/", 200, "from ")
	worker := ""
	l.until("older workers to end", func() bool {
		_, pids := l.get(":9090/_haproxy_getpids", "")
		worker = strings.TrimSpace(pids)
		return len(strings.Fields(pids)) == 1
	})
	before := residentKiB(t, worker)

	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", l.prefix+"1:10000")
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET / HT"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns[i] = c
	}
	for _, target := range []string{":10001/", ":9090/_haproxy_health_check"} {
		if status, body := l.get(target, ""); status != 200 {
			t.Errorf("%s meanwhile: %d %s", target, status, body)
		}
	}
	_, stats := l.get(":9090/haproxy?stats;csv", "")
	most := csvColumn(t, stats, "nginx_10000", "FRONTEND", "smax")
	each := (residentKiB(t, worker) - before) / n
	t.Logf("at most %d at once, %d KiB each", most, each)
	if most < n*9/10 { // the first may have gone when the last came
		t.Errorf("HAProxy had at most %d of %d at once", most, n)
	}
	if each > 64 {
		t.Errorf("%d KiB each", each)
	}
	for i, c := range conns { // HAProxy's 408, and the end
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("connection %d ends by %v", i, err)
		}
	}
	for _, target := range []string{":10000/", ":10001/"} {
		if status, body := l.get(target, ""); status != 200 {
			t.Errorf("%s afterwards: %d %s", target, status, body)
		}
	}
}

// residentKiB is what a process has in memory.
func residentKiB(t *testing.T, pid string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("process %s has no memory", pid)
	return 0
}

// csvColumn is a number of the statistics.
func csvColumn(t *testing.T, stats, proxy, server, column string) int {
	t.Helper()
	lines := strings.Split(strings.TrimPrefix(stats, "# "), "\n")
	for i, name := range strings.Split(lines[0], ",") {
		if name != column {
			continue
		}
		for _, line := range lines[1:] {
			if cells := strings.Split(line, ","); len(cells) > i && cells[0] == proxy && cells[1] == server {
				n, err := strconv.Atoi(cells[i])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	t.Fatalf("no %s of %s/%s in\n%s", column, proxy, server, stats)
	return 0
}
