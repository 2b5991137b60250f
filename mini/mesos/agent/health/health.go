// Package health runs a task's COMMAND health check.
//
// It follows Mesos' health checker (1.3, src/checks/health_checker.cpp): the
// first check comes after delay, the next one interval after the end of the
// one before. Failures within the grace period and before the first success
// do not count. Every counted failure is reported; successes are reported
// only the first time and after failures. The report of the
// consecutive-failures-th failure asks for the task's end.
//
// Left out: HTTP and TCP checks (Supported refuses them).
package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Report is one outcome worth telling the scheduler. Kill asks for the task's
// end. Err says why a failed check failed.
type Report struct {
	Healthy bool
	Kill    bool
	Err     error
}

// Supported says why a check cannot be run here, or nil.
func Supported(h *mesos.HealthCheck) error {
	switch {
	case h == nil:
		return nil
	case h.HTTP != nil || h.TCP != nil || (h.Type != mesos.HealthCheck_UNKNOWN && h.Type != mesos.HealthCheck_COMMAND):
		return fmt.Errorf("health checks of type %s are not made by this agent, only COMMAND", h.Type)
	case h.Command == nil || h.Command.Value == nil:
		return errors.New("the COMMAND health check has no command")
	}
	return nil
}

// Command is the argument vector and environment of a check's command.
func Command(c *mesos.CommandInfo) (argv, env []string) {
	for _, v := range c.GetEnvironment().GetVariables() {
		env = append(env, v.Name+"="+v.GetValue())
	}
	if c.GetShell() {
		return []string{"/bin/sh", "-c", c.GetValue()}, env
	}
	return append([]string{c.GetValue()}, c.Arguments...), env
}

// Run checks until ctx ends. exec runs the command once and returns its exit
// code; its context ends at the check's time-out. started is when the task
// began to run. report is called from this goroutine.
func Run(ctx context.Context, h *mesos.HealthCheck, started time.Time, exec func(context.Context) (int, error), report func(Report)) {
	grace := started.Add(seconds(h.GetGracePeriodSeconds()))
	passed, failures := false, uint32(0)
	for wait := seconds(h.GetDelaySeconds()); pause(ctx, wait); wait = seconds(h.GetIntervalSeconds()) {
		err := check(ctx, seconds(h.GetTimeoutSeconds()), exec)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err == nil:
			if !passed || failures > 0 {
				report(Report{Healthy: true})
			}
			passed, failures = true, 0
		case !passed && h.GetGracePeriodSeconds() > 0 && !time.Now().After(grace):
		default:
			failures++
			report(Report{Kill: failures >= h.GetConsecutiveFailures(), Err: err})
		}
	}
}

func check(ctx context.Context, timeout time.Duration, exec func(context.Context) (int, error)) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the command has not ended after %v", timeout))
		defer cancel()
	}
	code, err := exec(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("the command exited with status %d", code)
	}
	return err
}

// pause waits and says whether ctx still lives. A check without an interval
// still leaves the engine some rest.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(max(d, 10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
