package health

import (
	"context"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func ptr[T any](v T) *T { return &v }

func check3() *mesos.HealthCheck {
	return &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, DelaySeconds: ptr(0.5), IntervalSeconds: ptr(1.0), TimeoutSeconds: ptr(2.0),
		GracePeriodSeconds: ptr(0.0), ConsecutiveFailures: ptr(uint32(3)), Command: &mesos.CommandInfo{Value: ptr("true")}}
}

type outcome struct {
	at      time.Duration
	healthy bool
	kill    bool
}

// play runs a check in a bubble for a while. codes are the exit codes of the
// command, the last one repeated; -1 hangs.
func play(t *testing.T, h *mesos.HealthCheck, codes []int, d time.Duration) (out []outcome) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		Run(ctx, h, start, func(ctx context.Context) (int, error) {
			code := codes[0]
			if len(codes) > 1 {
				codes = codes[1:]
			}
			if code < 0 {
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			return code, nil
		}, func(r Report) {
			if r.Healthy == (r.Err != nil) {
				t.Errorf("healthy %v with error %v", r.Healthy, r.Err)
			}
			out = append(out, outcome{time.Since(start), r.Healthy, r.Kill})
		})
	})
	return out
}

func expect(t *testing.T, got []outcome, want ...outcome) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("report %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

const ms = time.Millisecond

// The three scenes measured on a real 1.3.2.
func TestAsMeasured(t *testing.T) {
	expect(t, play(t, check3(), []int{0}, 10*time.Second), outcome{500 * ms, true, false})
	expect(t, play(t, check3(), []int{1}, 3*time.Second),
		outcome{500 * ms, false, false}, outcome{1500 * ms, false, false}, outcome{2500 * ms, false, true})
	expect(t, play(t, check3(), []int{0, 0, 1, 1, 0, 1}, 6*time.Second),
		outcome{500 * ms, true, false}, outcome{2500 * ms, false, false}, outcome{3500 * ms, false, false},
		outcome{4500 * ms, true, false}, outcome{5500 * ms, false, false})
}

func TestGraceEndsWithTheFirstSuccess(t *testing.T) {
	h := check3()
	h.GracePeriodSeconds = ptr(3.0)
	expect(t, play(t, h, []int{1}, 4*time.Second), outcome{3500 * ms, false, false})
	expect(t, play(t, h, []int{1, 0, 1}, 3*time.Second), outcome{1500 * ms, true, false}, outcome{2500 * ms, false, false})
}

func TestTimeoutIsAFailure(t *testing.T) {
	expect(t, play(t, check3(), []int{-1}, 6*time.Second), outcome{2500 * ms, false, false}, outcome{5500 * ms, false, false})
}

func TestSupported(t *testing.T) {
	for _, c := range []struct {
		h    *mesos.HealthCheck
		want string
	}{
		{nil, ""},
		{check3(), ""},
		{&mesos.HealthCheck{Command: &mesos.CommandInfo{Value: ptr("x")}}, ""},
		{&mesos.HealthCheck{Type: mesos.HealthCheck_HTTP}, "HTTP"},
		{&mesos.HealthCheck{HTTP: &mesos.HealthCheck_HTTPCheckInfo{Port: 1}}, "only COMMAND"},
		{&mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND}, "no command"},
	} {
		err := Supported(c.h)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.h, err, c.want)
		}
	}
}

func TestCommand(t *testing.T) {
	argv, env := Command(&mesos.CommandInfo{Value: ptr("a b"), Environment: &mesos.Environment{Variables: []mesos.Environment_Variable{{Name: "X", Value: ptr("1")}}}})
	if strings.Join(argv, "|") != "/bin/sh|-c|a b" || strings.Join(env, "|") != "X=1" {
		t.Errorf("%q %q", argv, env)
	}
	argv, _ = Command(&mesos.CommandInfo{Shell: ptr(false), Value: ptr("curl"), Arguments: []string{"-f", "x"}})
	if strings.Join(argv, "|") != "curl|-f|x" {
		t.Errorf("%q", argv)
	}
}
