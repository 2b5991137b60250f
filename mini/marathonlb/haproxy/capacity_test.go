package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

func TestCapacity(t *testing.T) {
	for _, c := range []struct {
		descriptors                uint64
		wanted, listeners, servers int
		all, each                  int
	}{
		{0, 10000, 3, 6, 50000, 10000},
		{1 << 63, 10000, 3, 6, 50000, 10000},
		{100073, 10000, 3, 6, 50000, 10000},
		{20000, 10000, 3, 6, 9963, 7473},
		{1024, 10000, 3, 6, 475, 357},
		{1024, 10000, 30, 300, 315, 237}, // 2 × 315 + 25 + 330: less than 1024
		{1024, 10000, 100, 2000, 20, 15},
		{100, 100, 3, 6, 20, 15},
		{1024, 3, 1, 1, 15, 3},
	} {
		all, each := capacity(c.descriptors, c.wanted, c.listeners, c.servers)
		if all != c.all || each != c.each {
			t.Errorf("%+v: %d, %d", c, all, each)
		}
	}
}

// TestSized: the text counts its own listeners and servers.
func TestSized(t *testing.T) {
	h := &HAProxy{options: Options{Limits: proxy.DefaultLimits()}}
	text := h.sized("  maxconn 99999\n  retries 3\n\nfrontend a\n  bind *:1\n\nbackend a\n  maxconnect 3\n  server a b\n")
	all, each := capacity(descriptors(), h.options.Limits.MaxConnection, 1, 1)
	if !strings.Contains(text, fmt.Sprintf("\n  maxconn %d\n", all)) || !strings.Contains(text, fmt.Sprintf("\n  maxconn %d\n  retries 3\n", each)) || strings.Contains(text, "99999") {
		t.Error(text)
	}
	if text := h.sized("  maxconn 7\n"); !strings.HasSuffix(text, "\n  maxconn 7\n") {
		t.Errorf("a smaller one is changed: %s", text)
	}
}
