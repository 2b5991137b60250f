package marathonlb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// webApp is an app with a service port and one task, and labels in pairs.
func webApp(id string, port int, addr string, labels ...string) map[string]any {
	a := nginx(addr)
	a["id"], a["portDefinitions"] = id, []any{map[string]any{"port": port}}
	for i := 0; i+1 < len(labels); i += 2 {
		label(a, labels[i], labels[i+1])
	}
	return a
}

// TestOnlyTheSpoiltAppSuffers: what apps ask for, one state after the other,
// and what is served of it.
func TestOnlyTheSpoiltAppSuffers(t *testing.T) {
	good := webApp("/good", 10000, "10.0.0.2:1")
	type step struct {
		apps    []map[string]any
		refused string   // a claim that cannot be brought into force
		want    []string // name, mode and first server of each service
		problem string
	}
	for name, steps := range map[string][]step{
		"a new app is left out": {
			{[]map[string]any{good, webApp("/bad", 10001, "10.0.0.3:1", "HAPROXY_0_MODE", "htp")}, "", []string{"good_10000 http 10.0.0.2"}, `label HAPROXY_0_MODE="htp": mode "htp" is not http or tcp; it is left out`},
			{[]map[string]any{good, webApp("/bad", 10001, "10.0.0.3:1", "HAPROXY_0_MODE", "tcp")}, "", []string{"bad_10001 tcp 10.0.0.3", "good_10000 http 10.0.0.2"}, ""},
		},
		"an old app keeps its labels and gets its new tasks": {
			{[]map[string]any{good, webApp("/bad", 10001, "10.0.0.3:1", "HAPROXY_0_MODE", "tcp")}, "", []string{"bad_10001 tcp 10.0.0.3", "good_10000 http 10.0.0.2"}, ""},
			{[]map[string]any{good, webApp("/bad", 10001, "10.0.0.4:1", "HAPROXY_0_MODE", "htp")}, "", []string{"bad_10001 tcp 10.0.0.4", "good_10000 http 10.0.0.2"}, "it is served by its earlier labels"},
			{[]map[string]any{good, webApp("/bad", 10001, "10.0.0.5:1", "HAPROXY_0_MODE", "htp")}, "", []string{"bad_10001 tcp 10.0.0.5", "good_10000 http 10.0.0.2"}, "it is served by its earlier labels"},
		},
		"an app that was deleted meanwhile is a new one": {
			{[]map[string]any{webApp("/bad", 10001, "10.0.0.3:1")}, "", []string{"bad_10001 http 10.0.0.3"}, ""},
			{nil, "", nil, ""},
			{[]map[string]any{webApp("/bad", 10001, "10.0.0.3:1", "HAPROXY_0_MODE", "htp")}, "", nil, "it is left out"},
		},
		"who has a port keeps it": {
			{[]map[string]any{good}, "", []string{"good_10000 http 10.0.0.2"}, ""},
			{[]map[string]any{webApp("/a", 10000, "10.0.0.3:1"), good}, "", []string{"good_10000 http 10.0.0.2"}, "app /a: service port 10000 belongs to app /good already; it is left out"},
		},
		"of two new ones the first by id has it": {
			{[]map[string]any{good, webApp("/a", 10000, "10.0.0.3:1")}, "", []string{"a_10000 http 10.0.0.3"}, "app /good: service port 10000 belongs to app /a already"},
		},
		"an address of its own is no way round": {
			{[]map[string]any{good, webApp("/x", 10000, "10.0.0.3:1", "HAPROXY_0_BIND_ADDR", "10.0.0.1")}, "", []string{"good_10000 http 10.0.0.2"}, "app /x: service port 10000 belongs to app /good already"},
		},
		"two addresses, one port": {
			{[]map[string]any{webApp("/a", 10000, "10.0.0.2:1", "HAPROXY_0_BIND_ADDR", "10.0.0.1"), webApp("/b", 10000, "10.0.0.3:1", "HAPROXY_0_BIND_ADDR", "10.0.0.9")}, "", []string{"a_10000 http 10.0.0.2", "b_10000 http 10.0.0.3"}, ""},
		},
		"two ids, one name": {
			{[]map[string]any{webApp("/a/b", 10000, "10.0.0.2:1"), webApp("/a_b", 10000, "10.0.0.3:1", "HAPROXY_0_BIND_ADDR", "10.0.0.1")}, "", []string{"a_b_10000 http 10.0.0.2"}, "app /a_b: service port 10000 belongs to app /a/b already, by the name a_b_10000"},
		},
		"a port that another has, after one of its own": {
			{[]map[string]any{good, webApp("/x", 10001, "10.0.0.3:1")}, "", []string{"good_10000 http 10.0.0.2", "x_10001 http 10.0.0.3"}, ""},
			{[]map[string]any{webApp("/a", 10001, "10.0.0.4:1"), good, webApp("/x", 10001, "10.0.0.3:1", "HAPROXY_0_PORT", "10000")}, "", []string{"good_10000 http 10.0.0.2", "x_10001 http 10.0.0.3"}, "app /x: service port 10000 belongs to app /good already; it is served by its earlier labels"},
		},
		"ports that are exchanged": {
			{[]map[string]any{webApp("/a", 1, "10.0.0.2:1"), webApp("/b", 2, "10.0.0.3:1")}, "", []string{"a_1 http 10.0.0.2", "b_2 http 10.0.0.3"}, ""},
			{[]map[string]any{webApp("/a", 2, "10.0.0.2:1"), webApp("/b", 1, "10.0.0.3:1")}, "", []string{"a_2 http 10.0.0.2", "b_1 http 10.0.0.3"}, ""},
		},
		"the statistics' port": {
			{[]map[string]any{good, webApp("/x", 9090, "10.0.0.3:1")}, "", []string{"good_10000 http 10.0.0.2"}, "app /x: service port 9090 belongs to the statistics"},
		},
		"a port that cannot be bound": {
			{[]map[string]any{good, webApp("/x", 10001, "10.0.0.3:1")}, "x_10001 *:10001", []string{"good_10000 http 10.0.0.2"}, "app /x: in use; it is left out"},
			{[]map[string]any{good, webApp("/x", 10001, "10.0.0.3:1")}, "", []string{"good_10000 http 10.0.0.2", "x_10001 http 10.0.0.3"}, ""},
			{[]map[string]any{good, webApp("/x", 10001, "10.0.0.3:1", "HAPROXY_0_PORT", "22")}, "x_22 *:22", []string{"good_10000 http 10.0.0.2", "x_10001 http 10.0.0.3"}, "app /x: in use; it is served by its earlier labels"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := builder{groups: map[string]bool{"external": true}}
			b.reserve(shared{}, "9090")
			for i, s := range steps {
				refused := &refusals{claims: map[string]error{}}
				if s.refused != "" {
					refused.claims[s.refused] = errors.New("in use")
				}
				services, problems, err := b.build(appsOf(t, s.apps...), refused)
				var got []string
				for _, v := range services {
					got = append(got, fmt.Sprintf("%s %s %s", v.name(), v.mode, v.servers[0].host))
				}
				if err != nil || strings.Join(got, ", ") != strings.Join(s.want, ", ") {
					t.Errorf("step %d: %q, %v; want %q", i, got, err, s.want)
				}
				if (s.problem == "") != (len(problems) == 0) || !strings.Contains(fmt.Sprint(problems), s.problem) {
					t.Errorf("step %d: problems %v, want %q", i, problems, s.problem)
				}
				if err := model(services, shared{}).Validate(); err != nil {
					t.Errorf("step %d: %v", i, err)
				}
				b.remember(services)
			}
		})
	}
}

// TestBadLabelSpoilsOneApp: the others are followed, log and page say what is
// wrong, and the label can be mended.
func TestBadLabelSpoilsOneApp(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		serve(t, n, two)
		bad := webApp("/bad", 10001, two, "HAPROXY_0_BALANCE", "roundrobbin")
		bad["version"] = "2016-07-06T13:18:47.123Z"
		wantSpoilt := func(want string) {
			t.Helper()
			if status, body := l.get(":9090" + spoiltPath); status != 200 || body != want+"\n" {
				t.Errorf("for programs: %d %s, want %s", status, body, want)
			}
		}
		synctest.Wait()
		wantSpoilt("[]")
		m.set(nginx(one), bad)
		synctest.Wait()
		l.wantAnswers(one)
		if status, _ := l.get(":10001/"); status != 0 {
			t.Errorf("the app with the bad label is served: %d", status)
		}
		m.set(nginx(one, two), bad)
		m.send("api_post_event")
		synctest.Wait()
		l.wantAnswers(one, two)
		_, page := l.get(":9090/haproxy?stats")
		const says = `label HAPROXY_0_BALANCE="roundrobbin": balance "roundrobbin" is not an algorithm of HAProxy; it is left out, all other apps are served`
		if !strings.Contains(page, `<p class="down">app /bad: label HAPROXY_0_BALANCE=`) {
			t.Errorf("the page does not name it:\n%s", page)
		}
		if strings.Count(l.log.String(), "app /bad: "+says) != 1 {
			t.Errorf("the log must name it once:\n%s", l.log.String())
		}
		wantSpoilt(`[{"app":"/bad","version":"2016-07-06T13:18:47.123Z","port_index":0,"problem":"app /bad: label HAPROXY_0_BALANCE=\"roundrobbin\": balance \"roundrobbin\" is not an algorithm of HAProxy"}]`)
		m.set(nginx(one, two), label(bad, "HAPROXY_0_BALANCE", "roundrobin"))
		synctest.Wait()
		wantSpoilt("[]")
		if status, body := l.get(":10001/"); status != 200 || body != two {
			t.Errorf("mended: %d %s", status, body)
		}
		if _, page = l.get(":9090/haproxy?stats"); strings.Contains(page, "/bad") {
			t.Error("the page still names it")
		}
		if !strings.Contains(l.log.String(), "app /bad: service port number 0 is as its labels say again") {
			t.Errorf("log:\n%s", l.log.String())
		}
	})
}

// TestTakenPortSpoilsOneApp: it is tried again whenever something changes.
func TestTakenPortSpoilsOneApp(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		taken, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":10001")
		if err != nil {
			t.Fatal(err)
		}
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		serve(t, n, two)
		m.set(nginx(one), webApp("/other", 10001, two))
		synctest.Wait()
		l.wantAnswers(one)
		if !strings.Contains(l.log.String(), "app /other: frontend other_10001: cannot bind *:10001") {
			t.Errorf("log:\n%s", l.log.String())
		}
		taken.Close()
		m.send("api_post_event")
		synctest.Wait()
		if status, body := l.get(":10001/"); status != 200 || body != two {
			t.Errorf("free again: %d %s", status, body)
		}
	})
}
