package marathonlb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mesoslab/lab/mini/marathonlb/haproxy"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// someServices are as many, on ports from 1 on.
func someServices(n int) []service {
	var out []service
	for i := range n {
		out = append(out, service{appID: fmt.Sprintf("/app-%d", i), port: i + 1, bindAddr: "*", mode: proxy.TCP})
	}
	return out
}

// TestTriedFindsWhoSpoilsIt: where HAProxy names no line, the first service with
// which it refuses is found by halving.
func TestTriedFindsWhoSpoilsIt(t *testing.T) {
	no := &haproxy.RefusedError{Alerts: []haproxy.Alert{{Said: "no"}}}
	for name, c := range map[string]struct {
		bad  []int // ports
		err  error
		want int // index, -1 = nobody
	}{
		"the first":                       {[]int{1}, no, 0},
		"the last":                        {[]int{13}, no, 12},
		"one of two":                      {[]int{9, 4}, no, 3},
		"nobody, on second thoughts":      {nil, no, -1},
		"what is the same without an app": {[]int{0}, no, -1},
		"HAProxy cannot be asked":         {[]int{4}, errors.New("no memory"), -1},
	} {
		asked := 0
		got := tried(t.Context(), someServices(13), func(_ context.Context, services []service) error {
			asked++
			for _, port := range c.bad {
				if port == 0 || slices.ContainsFunc(services, func(s service) bool { return s.port == port }) {
					return fmt.Errorf("check: %w", c.err)
				}
			}
			return nil
		})
		if c.want < 0 && len(got) != 0 || c.want >= 0 && (len(got) != 1 || !errors.Is(got[c.want], error(no))) {
			t.Errorf("%s: %v, want %d", name, got, c.want)
		}
		if asked > 8 { // ⌈log₂ 13⌉, everything, nothing, and once more for the reason
			t.Errorf("%s: asked %d times", name, asked)
		}
	}
}

// TestNamed: a line of HAProxy's words leads to its app, also in the sections
// that all share.
func TestNamed(t *testing.T) {
	services := someServices(3)
	alert := func(section, line string) *haproxy.RefusedError {
		return &haproxy.RefusedError{Alerts: []haproxy.Alert{{Said: "no", Section: section, Line: line}, {Said: "and no line"}}}
	}
	for _, c := range []struct {
		section, line string
		want          []int
	}{
		{"backend app-1_2", "server x y", []int{1}},
		{"frontend app-2_3", "bind *:3", []int{2}},
		{"frontend marathon_http_in", "acl host_app-0_1 hdr(host) -i -f", []int{0}},
		{"frontend marathon_http_in", "use_backend app-1_2 if host_app-1_2", []int{1}},
		{"frontend marathon_http_appid_in", "acl app_app-2_3 hdr(x-marathon-app-id) -i /app-2", []int{2}},
		{"frontend marathon_http_in", "bind *:80", nil},
		{"defaults", "timeout client x", nil},
		{"", "", nil},
	} {
		var got []int
		for i := range named(services, alert(c.section, c.line)) {
			got = append(got, i)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %s: %v, want %v", c.section, c.line, got, c.want)
		}
	}
}

// TestEarlierHealthChecks: what an app is served by is more than its labels.
func TestEarlierHealthChecks(t *testing.T) {
	b := builder{groups: map[string]bool{"external": true}}
	every := func(seconds int) []app {
		a := nginx("10.0.0.2:31000")
		a["healthChecks"] = []any{map[string]any{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": seconds}}
		return appsOf(t, a)
	}
	services, problems, err := b.build(every(5), nil)
	if err != nil || len(problems) > 0 || len(services) != 1 {
		t.Fatal(services, problems, err)
	}
	b.remember(services)
	lines := func(s service) string { return fmt.Sprint(s.name(), s.check.Interval) }
	next, _, _ := b.build(every(7), nil)
	r := &refusals{texts: map[string]error{lines(next[0]): errors.New("no")}, lines: lines}
	services, problems, err = b.build(every(7), r)
	if err != nil || len(services) != 1 || services[0].check.Interval.Seconds() != 5 {
		t.Errorf("%+v, %v", services, err)
	}
	if want := "[app /nginx: no; it is served by its earlier health checks, all other apps are served]"; fmt.Sprint(problems) != want {
		t.Errorf("%v, want %s", problems, want)
	}
}
