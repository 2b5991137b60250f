package main

import (
	"testing"

	"github.com/mesoslab/lab"
)

// TestKnownHost: OpenSSH finds a host at port 22 by its bare name only.
func TestKnownHost(t *testing.T) {
	for addr, want := range map[string]string{
		"127.168.59.2:2222":  "[127.168.59.2]:2222 ssh-ed25519 AAAA\n",
		"192.168.121.160:22": "192.168.121.160 ssh-ed25519 AAAA\n",
	} {
		if got := knownHost(lab.SSHEndpoint{Addr: addr, HostKey: "ssh-ed25519 AAAA\n"}); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}
