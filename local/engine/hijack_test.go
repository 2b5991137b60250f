package engine

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestDetachKeys(t *testing.T) {
	for _, x := range []struct {
		keys, typed, passed string
		detached            bool
	}{
		{"", "ab\x10\x11cd", "ab", true},
		{"", "a\x10b", "a\x10b", false},
		{"", "a\x10\x10\x11", "a\x10", true},
		{"ctrl-a", "x\x01", "x", true},
		{"ctrl-a,d", "x\x01y\x01d", "x\x01y", true},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(x.typed), "key by key": iotest.OneByteReader(strings.NewReader(x.typed))} {
			got, err := io.ReadAll(&detachReader{r: in, keys: detachKeys(x.keys)})
			if string(got) != x.passed || errors.Is(err, errDetached) != x.detached {
				t.Errorf("%q with %q, %s: %q %v", x.typed, x.keys, name, got, err)
			}
		}
	}
	if keys := detachKeys("nonsense-x"); keys != nil {
		t.Errorf("nonsense is %v", keys)
	}
}
