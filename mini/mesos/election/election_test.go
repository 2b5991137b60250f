package election

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func candidate(id, ip string) Master {
	return NewMaster(id, ip, netip.MustParseAddrPort(ip+":5050"), "1.3.2")
}

// TestMasterInfo compares with the node that a real 1.3.2 wrote (contracts,
// captures-mesos: zk-znodes).
func TestMasterInfo(t *testing.T) {
	const real = `{"address":{"hostname":"127.0.0.1","ip":"127.0.0.1","port":5050},"hostname":"127.0.0.1","id":"3765d5b8-bb44-4bbb-b8f9-b98f66608d49","ip":16777343,"pid":"master@127.0.0.1:5050","port":5050,"version":"1.3.2"}`
	m := candidate("3765d5b8-bb44-4bbb-b8f9-b98f66608d49", "127.0.0.1")
	b, err := json.Marshal(m)
	if err != nil || string(b) != real {
		t.Errorf("got  %s, %v\nwant %s", b, err, real)
	}
	back, err := parseMaster(b)
	if err != nil || back != m {
		t.Errorf("parsed %+v, %v", back, err)
	}
	if m.Addr() != "127.0.0.1:5050" {
		t.Errorf("addr %s", m.Addr())
	}
}

func TestParseURL(t *testing.T) {
	good := map[string]URL{
		"zk://192.168.59.1:2181/mesos":     {Servers: []string{"192.168.59.1:2181"}, Path: "/mesos"},
		"zk://a,b:2182,c/x/y/":             {Servers: []string{"a:2181", "b:2182", "c:2181"}, Path: "/x/y"},
		"zk://me:secret@a:1/mesos":         {Servers: []string{"a:1"}, Path: "/mesos", Auth: "me:secret"},
		"zk://[::1]:2181,[::2]/mesos//new": {Servers: []string{"[::1]:2181", "[::2]:2181"}, Path: "/mesos/new"},
	}
	for s, want := range good {
		got, err := ParseURL(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", s, d)
		}
	}
	for _, s := range []string{"", "192.168.59.1:2181/mesos", "zk://a:2181", "zk://a:2181/", "zk:///mesos", "zk://a,,b/m", "zk://me@a/m"} {
		if u, err := ParseURL(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, u)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("zk://me:secret@a:1,b/mesos")
	f.Add("zk://[::1]/x")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParseURL(s); err == nil && (len(u.Servers) == 0 || len(u.Path) < 2) {
			t.Errorf("%q: %+v", s, u)
		}
	})
}

func FuzzParseMaster(f *testing.F) {
	b, _ := json.Marshal(candidate("id", "10.0.0.1"))
	f.Add(b)
	f.Add([]byte(`{"address":{"ip":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMaster(b); err == nil {
			if _, err := netip.ParseAddrPort(m.Addr()); err != nil {
				t.Errorf("%q: accepted without an address to dial: %v", b, err)
			}
		}
	})
}

func TestLowest(t *testing.T) {
	got := lowest([]string{"log_replicas", "json.info_0000000010", "json.info_0000000009", "info_0000000001", "json.info_x"})
	if got != "json.info_0000000009" {
		t.Errorf("got %q", got)
	}
	if got := lowest([]string{"log_replicas"}); got != "" {
		t.Errorf("got %q, want nobody", got)
	}
}

func TestFixed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g, err := Parse(ctx, "10.0.0.1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := g.Detect(ctx, Master{})
	if err != nil || m.Addr() != "10.0.0.1:5050" || m.PID != "master@10.0.0.1:5050" {
		t.Errorf("leader %+v, %v", m, err)
	}
	cancel()
	if _, err := g.Detect(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("second Detect: %v", err)
	}
	for _, bad := range []string{"", "master.example:5050", "zk://nowhere"} {
		if _, err := Parse(ctx, bad, Options{}); err == nil {
			t.Errorf("%q is no master", bad)
		}
	}
}

func TestMemory(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		g := new(Memory)
		one, two := candidate("1", "10.0.0.1"), candidate("2", "10.0.0.2")
		ctx1, leave := context.WithCancel(t.Context())
		lost1, _ := g.Contend(ctx1, one)
		if _, err := g.Contend(t.Context(), two); err != nil {
			t.Fatal(err)
		}
		if m, _ := g.Detect(t.Context(), Master{}); m != one {
			t.Errorf("leader %s", m.ID)
		}
		next := make(chan Master, 1)
		go func() {
			m, _ := g.Detect(t.Context(), one)
			next <- m
		}()
		synctest.Wait()
		select {
		case m := <-next:
			t.Fatalf("changed to %+v without a reason", m)
		default:
		}
		leave()
		if m := <-next; m != two {
			t.Errorf("leader %s after the first left", m.ID)
		}
		<-lost1
		g.SetDown(true)
		if m, _ := g.Detect(t.Context(), two); m != (Master{}) {
			t.Errorf("leader %s while the group is down", m.ID)
		}
	})
}
