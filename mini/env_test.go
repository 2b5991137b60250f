package mini

import "testing"

func TestEnv(t *testing.T) {
	e := Env{Environ: []string{"A=1", "B=x=y", "A=2"}, Root: "rootfs"}
	for key, want := range map[string]string{"A": "2", "B": "x=y", "C": ""} {
		if got := e.Getenv(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if got := e.Path("/tmp/mesos"); got != "rootfs/tmp/mesos" {
		t.Errorf("path %q", got)
	}
	if got := (Env{}).Path("/tmp/mesos"); got != "/tmp/mesos" {
		t.Errorf("path without a root: %q", got)
	}
}
