package scenarios

import "testing"

// TestTrafficWaitsForTheLoadBalancer: requests begin when it has every task,
// as its own checks see them, too, and none that is no more.
func TestTrafficWaitsForTheLoadBalancer(t *testing.T) {
	app := App{Tasks: []Task{{IP: "10.0.0.2", Port: 31000}, {IP: "10.0.0.3", Port: 31000}}}
	const a, b, gone = "10.0.0.2:31000", "10.0.0.3:31000", "10.0.0.2:31001"
	web := func(addresses ...string) (out []Backend) {
		for _, address := range addresses {
			out = append(out, Backend{Service: "web_10000", Address: address, Status: "UP"})
		}
		return out
	}
	second := func(servers []Backend, addresses ...string) []Backend {
		for _, address := range addresses {
			servers = append(servers, Backend{Service: "web_10001", Address: address, Status: "UP"})
		}
		return servers
	}
	down := web(a, b)
	down[1].Status = "DOWN 1/2"
	for name, c := range map[string]struct {
		servers []Backend
		want    string
	}{
		"both":                       {web(a, b), ""},
		"one":                        {web(a), "1 of 2 tasks are there"},
		"none":                       {nil, "0 of 2 tasks are there"},
		"one is down":                {down, "10.0.0.3:31000 is DOWN 1/2"},
		"one that has been killed":   {web(a, b, gone), "10.0.0.2:31001 is there still, and its task is not"},
		"that, and not yet the last": {web(a, gone), "1 of 2 tasks are there"},
		"a second port each":         {second(web(a, b), "10.0.0.2:31100", "10.0.0.3:31100"), ""},
		"a second port, not yet one": {second(web(a), "10.0.0.2:31100", "10.0.0.3:31100"), "1 of 2 tasks are there"},
		"a second port, still three": {second(web(a, b, gone), "10.0.0.2:31100", "10.0.0.3:31100"), "10.0.0.2:31001 is there still, and its task is not"},
		"no first port":              {second(nil, "10.0.0.2:31100", "10.0.0.3:31100"), ""},
	} {
		got := ""
		if err := unbalanced(app, c.servers); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
