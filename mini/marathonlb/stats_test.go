package marathonlb

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestStatsPort(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n, "--haproxy-map")
		serve(t, n, one)
		serve(t, n, two)
		synctest.Wait()
		if status, body := l.get(":9090/_haproxy_getconfig"); status != 200 || !strings.Contains(body, "listen stats") || strings.Contains(body, "nginx") {
			t.Errorf("config before the first: %d %q", status, body)
		}
		m.set(label(nginx(one, two), "HAPROXY_0_VHOST", "a.example"))
		synctest.Wait()
		for range 6 {
			l.get(":10000/")
		}
		synctest.Wait() // a session ends after its answer has been read
		rows := l.rows()
		for name, want := range map[string]string{
			"nginx_10000/FRONTEND": "OPEN", "nginx_10000/BACKEND": "UP", "stats/FRONTEND": "OPEN",
			"nginx_10000/10_0_0_2_31005": "UP", "nginx_10000/10_0_0_3_31777": "UP 1/4", "marathon_http_in/FRONTEND": "OPEN",
		} {
			if rows[name]["status"] != want {
				t.Errorf("%s: %q, want %q", name, rows[name]["status"], want)
			}
		}
		for _, server := range []string{"10_0_0_2_31005", "10_0_0_3_31777"} {
			if row := rows["nginx_10000/"+server]; row["stot"] != "3" || row["hrsp_2xx"] != "3" || row["scur"] != "0" || row["bin"] == "0" || row["bout"] == "0" {
				t.Errorf("%s: %v", server, row)
			}
		}
		if status, body := l.get(":9090/haproxy?stats"); status != 200 || !strings.Contains(body, "10_0_0_2_31005") || !strings.Contains(body, "node1") {
			t.Errorf("page: %d %s", status, body)
		}
		if status, _ := l.get(":9090/haproxy"); status != 404 {
			t.Errorf("/haproxy: %d", status)
		}
		if status, _ := l.get(":9090" + healthPath); status != 200 {
			t.Errorf("health: %d", status)
		}
		if _, body := l.get(":9090/_haproxy_getconfig"); body != l.config() {
			t.Errorf("config: %s", body)
		}
		if _, body := l.get(":9090/_haproxy_getvhostmap"); body != "a.example nginx_10000\n" {
			t.Errorf("map: %q", body)
		}
		if _, body := l.get(":9090/_haproxy_getpids"); strings.TrimSpace(body) != strconv.Itoa(os.Getpid()) {
			t.Errorf("pids: %q", body)
		}
		for _, path := range []string{"/_haproxy_getappmap", "/_mlb_signal/hup"} { // 1.4.0's
			if status, _ := l.get(":9090" + path); status != 404 {
				t.Errorf("%s: %d", path, status)
			}
		}
	})
}

// The statistics are guarded, the applications are not.
func TestGuard(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		m.set(nginx(one))
		synctest.Wait()
		if status, _ := l.get(":9090/haproxy?stats", "Host", "evil.example"); status != 403 {
			t.Errorf("statistics for a foreign name: %d", status)
		}
		if status, _ := l.get(":10000/", "Host", "shop.example"); status != 200 {
			t.Errorf("application: %d", status)
		}
	})
}

func TestVirtualHostsAndAppIDs(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		serve(t, n, two)
		other := label(label(nginx(two), "HAPROXY_0_VHOST", "a.example"), "HAPROXY_0_PATH", "/api")
		other["id"], other["portDefinitions"] = "/api", []any{map[string]any{"port": 10001}}
		m.set(label(nginx(one), "HAPROXY_0_VHOST", "a.example,b.example"), other)
		synctest.Wait()
		for _, c := range []struct {
			target, name, value string
			status              int
			body                string
		}{
			{":80/", "Host", "a.example", 200, one}, {":80/x", "Host", "B.example", 200, one}, {":80/api/1", "Host", "a.example", 200, two},
			{":80/", "Host", "c.example", 503, ""}, {":9091/", "X-Marathon-App-Id", "/api", 200, two},
			{":9091/", "X-Marathon-App-Id", "/nginx", 200, one}, {":9091/", "X-Marathon-App-Id", "/none", 503, ""},
		} {
			status, body := l.get(c.target, c.name, c.value)
			if status != c.status || c.body != "" && body != c.body {
				t.Errorf("%s %s: %s: %d %s", c.target, c.name, c.value, status, body)
			}
		}
	})
}

// Where port 80 is taken or not wanted, everything else works.
func TestWithoutPort80(t *testing.T) {
	for _, environ := range []string{"", "LAB_DONT_BIND_HTTP_HTTPS=1"} {
		bubble.Test(t, func(t *testing.T) {
			n := labtest.NewNetwork()
			if environ == "" {
				taken, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":80")
				if err != nil {
					t.Fatal(err)
				}
				defer taken.Close()
			}
			m := startMarathon(t, n.Host("10.0.0.1"))
			l := startWith(t, n, environ, "LAB_LB_STATS_PORT=9099")
			serve(t, n, one)
			m.set(label(nginx(one), "HAPROXY_0_VHOST", "a.example"))
			synctest.Wait()
			l.wantAnswers(one)
			if strings.Contains(l.config(), "*:80\n") || !strings.Contains(l.config(), "bind *:9099\n") {
				t.Errorf("config:\n%s", l.config())
			}
			if said := strings.Contains(l.log.String(), "port 80 stays closed"); said != (environ == "") {
				t.Errorf("log:\n%s", l.log.String())
			}
			if status, _ := l.get(":9099" + healthPath); status != 200 {
				t.Errorf("health: %d", status)
			}
		})
	}
}
