package master

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func quotaOf(role string, cpus float64) string {
	return fmt.Sprintf(`{"role":%q,"guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":%v}}]}`, role, cpus)
}

// TestQuota: a quota takes offers back, serves its role first, keeps the rest
// of it from others, and is known to the next master, which waits for agents
// (docs/quota.md of Mesos).
func TestQuota(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.realMaster()
		a, b := r.twoAgents() // 4 cpus each
		x := r.scheduler(named("x"))
		if got := brief(x.new()); !slices.Contains(got, "OFFERS 2") {
			t.Fatalf("x got %v", got)
		}
		dev := r.scheduler(inRole("dev", "dev"))
		if got := r.ask("POST", "/master/quota", quotaOf("dev", 4), 200); got != "" {
			t.Errorf("set: %s", got)
		}
		if got := brief(x.new()); !slices.Equal(got, []string{"RESCIND"}) {
			t.Errorf("x got %v", got)
		}
		time.Sleep(time.Second)
		if got := lastOffered(t, dev); !strings.HasPrefix(got, "cpus(*):4") {
			t.Errorf("dev was offered %s", got)
		}
		if got := brief(x.new()); len(got) != 0 {
			t.Errorf("x got %v", got)
		}
		const one = `{"infos":[{"guarantee":[{"name":"cpus","role":"*","scalar":{"value":4.0},"type":"SCALAR"}],"role":"dev"}]}`
		if got := r.ask("GET", "/quota", "", 200); got != one {
			t.Errorf("quota: %s", got)
		}
		metrics := r.ask("GET", "/metrics/snapshot", "", 200)
		for _, part := range []string{`resources\/cpus\/guarantee":4.0`, `resources\/cpus\/offered_or_allocated":4.0`} {
			if !strings.Contains(metrics, `"allocator\/mesos\/quota\/roles\/dev\/`+part) {
				t.Errorf("no %s in %s", part, metrics)
			}
		}
		// Without the role's framework the others still do not get it.
		dev.stop()
		<-dev.done
		x.stop()
		<-x.done
		time.Sleep(2 * time.Second)
		x = r.scheduler(again(x, named("x")))
		if got := brief(x.new()); !slices.Equal(got, []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS 1"}) {
			t.Errorf("x got %v", got)
		}

		// The next master makes no offers before enough agents are there.
		m.stop()
		<-m.done
		<-x.done
		a.die()
		b.die()
		r.realMaster()
		if got := r.ask("GET", "/quota", "", 200); got != one {
			t.Errorf("after the restart: %s", got)
		}
		if got := r.ask("GET", "/registrar(1)/registry", "", 200); !strings.Contains(got, `"quotas":[{"info":{"guarantee":[{"name":"cpus",`) {
			t.Errorf("registry: %s", got)
		}
		if got := r.ask("GET", "/roles", "", 200); !strings.Contains(got, `"name":"dev"`) {
			t.Errorf("roles: %s", got)
		}
		x = r.scheduler(again(x, named("x")))
		time.Sleep(5 * time.Second)
		if got := brief(x.new()); !slices.Equal(got, []string{"SUBSCRIBED", "HEARTBEAT"}) {
			t.Errorf("without agents x got %v", got)
		}
		a.connect(masterAddr)
		b.connect(masterAddr)
		time.Sleep(time.Second)
		if got := brief(x.new()); !slices.Equal(got, []string{"OFFERS 1"}) {
			t.Errorf("with both agents x got %v", got)
		}
		if got := r.ask("DELETE", "/quota/dev", "", 200); got != "" {
			t.Errorf("remove: %s", got)
		}
		time.Sleep(time.Second)
		if got := brief(x.new()); !slices.Equal(got, []string{"OFFERS 1"}) {
			t.Errorf("without a quota x got %v", got)
		}
		if got := r.ask("GET", "/quota", "", 200); got != "{}" {
			t.Errorf("quota: %s", got)
		}
	})
}

// TestQuotaPatience: agents that never come back do not stop offers for ever.
func TestQuotaPatience(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.realMaster()
		for i := range 5 {
			r.agent(fmt.Sprintf("10.0.0.%d", i+2)) // stays on its own connection, which ends with this master
		}
		r.ask("POST", "/quota", quotaOf("dev", 1), 200)
		m.stop()
		<-m.done
		r.realMaster()
		r.agent("10.0.0.98")
		late := r.agent("10.0.0.99") // the quota is kept from one of the two
		s := r.scheduler(named("x"))
		time.Sleep(9 * time.Minute)
		for _, line := range brief(s.new()) {
			if strings.HasPrefix(line, "OFFERS") {
				t.Errorf("%s with two agents of five", line)
			}
		}
		time.Sleep(2 * time.Minute)
		if got := lastOffered(t, s); got == "nothing" || late.agentID() == "" {
			t.Errorf("after ten minutes: %s", got)
		}
	})
}

// TestQuotaRefusals: Mesos' words, classic and as operator calls; nothing is
// changed.
func TestQuotaRefusals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--roles=web,dev", "--compat=1.3")
		r.agent("10.0.0.2") // 4 cpus
		const v1 = "/api/v1"
		call := func(q string) string { return `{"type":"SET_QUOTA","set_quota":{"quota_request":` + q + `}}` }
		guarantee := func(parts string) string { return `{"role":"dev","guarantee":[` + parts + `]}` }
		const cpus, invalid = `{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}`, "Failed to validate set quota request: "
		r.ask("POST", v1, call(quotaOf("web", 1)), 200)
		before := r.ask("POST", v1, `{"type":"GET_QUOTA"}`, 200)
		if want := `{"get_quota":{"status":{"infos":[{"guarantee":[{"name":"cpus","role":"*","scalar":{"value":1.0},"type":"SCALAR"}],"role":"web"}]}},"type":"GET_QUOTA"}`; before != want {
			t.Errorf("%s, want %s", before, want)
		}
		const tooMuch = "Heuristic capacity check for set quota request failed: Not enough available cluster capacity to reasonably satisfy quota request; the force flag can be used to override this check"
		for _, c := range []struct {
			method, path, body string
			status             int
			text               string
		}{
			{"PUT", "/quota", "", 405, "Expecting one of { 'GET', 'POST', 'DELETE' }, but received 'PUT'"},
			{"POST", "/quota", "{", 400, "Failed to parse set quota request JSON '{': syntax error at line 1 near: "},
			{"POST", "/quota", `{"role":1}`, 400, `Failed to validate set quota request JSON '{"role":1}': Not expecting a JSON number for field 'role'`},
			{"POST", "/quota", "{}", 400, invalid + "QuotaInfo must specify a role"},
			{"POST", "/quota", quotaOf("a/b", 1), 400, invalid + "QuotaInfo with invalid role: Role name 'a/b' is invalid because it contains slash, backspace or whitespace"},
			{"POST", "/quota", quotaOf("*", 1), 400, invalid + "QuotaInfo must not specify the default '*' role"},
			{"POST", "/quota", guarantee(""), 400, invalid + "QuotaInfo with empty 'guarantee'"},
			{"POST", "/quota", quotaOf("dev", 0), 400, invalid + "QuotaInfo with empty 'guarantee'"},
			{"POST", "/quota", guarantee(cpus + `,"reservation":{}}`), 400, invalid + "QuotaInfo must not contain any ReservationInfo"},
			{"POST", "/quota", guarantee(cpus + `,"disk":{}}`), 400, invalid + "QuotaInfo must not contain DiskInfo"},
			{"POST", "/quota", guarantee(cpus + `,"revocable":{}}`), 400, invalid + "QuotaInfo must not contain RevocableInfo"},
			{"POST", "/quota", guarantee(`{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}`), 400, invalid + "QuotaInfo must not include non-scalar resources"},
			{"POST", "/quota", guarantee(cpus + "}," + cpus + "}"), 400, invalid + "QuotaInfo contains duplicate resource name 'cpus'"},
			{"POST", "/quota", quotaOf("db", 1), 400, invalid + "Unknown role 'db'"},
			{"POST", "/quota", quotaOf("web", 1), 400, invalid + "Cannot set quota for role 'web' which already has quota"},
			{"POST", "/quota", quotaOf("dev", 3.1), 409, tooMuch},
			{"POST", v1, call(quotaOf("dev", 3.1)), 409, tooMuch},
			{"POST", v1, call(quotaOf("web", 1)), 400, invalid + "Cannot set quota for role 'web' which already has quota"},
			{"DELETE", "/quota", "", 400, "Failed to parse remove quota request for path '/master/quota': expected 3 tokens, found 2 tokens"},
			{"DELETE", "/quota/dev", "", 400, "Failed to remove quota for path '/master/quota/dev': Role 'dev' has no quota set"},
			{"DELETE", "/master/quota/db", "", 400, "Failed to validate remove quota request for path '/master/quota/db': Unknown role 'db'"},
			{"POST", v1, `{"type":"REMOVE_QUOTA","remove_quota":{"role":"dev"}}`, 400, "Failed to remove quota: Role 'dev' has no quota set"},
		} {
			if got := r.ask(c.method, c.path, c.body, c.status); got != c.text {
				t.Errorf("%s %s %s: %s\nwant %s", c.method, c.path, c.body, got, c.text)
			}
		}
		if after := r.ask("POST", v1, `{"type":"GET_QUOTA"}`, 200); after != before {
			t.Errorf("the quota was %s, is %s", before, after)
		}
		r.ask("POST", "/quota", strings.Replace(quotaOf("dev", 100), "{", `{"force":true,`, 1), 200)
		r.ask("POST", v1, `{"type":"REMOVE_QUOTA","remove_quota":{"role":"dev"}}`, 200)
		r.ask("POST", v1, `{"type":"REMOVE_QUOTA","remove_quota":{"role":"web"}}`, 200)
		if got := r.ask("GET", "/quota", "", 200); got != "{}" {
			t.Errorf("quota: %s", got)
		}
	})
}
