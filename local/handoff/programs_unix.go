//go:build unix

package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

var _ Programs = (*Client)(nil)

// Start implements Programs: the machine starts the supervisor.
func (c *Client) Start(ctx context.Context, name, order string) (proctab.ID, error) {
	a, err := c.program(ctx, request{Op: "start", Name: name, Order: order})
	if err == nil && a.Process == nil {
		err = errors.New("the machine names no process")
	}
	if err != nil {
		return proctab.ID{}, fmt.Errorf("start supervisor of %s: %w", name, err)
	}
	return *a.Process, nil
}

// Wait implements Programs.
func (c *Client) Wait(ctx context.Context, id proctab.ID) error {
	if _, err := c.program(ctx, request{Op: "wait", Process: &id}); err != nil {
		return fmt.Errorf("wait for supervisor %d: %w", id.PID, err)
	}
	return nil
}

// Stop implements Programs.
func (c *Client) Stop(ctx context.Context, id proctab.ID, grace time.Duration) error {
	if _, err := c.program(ctx, request{Op: "stop", Process: &id, Grace: grace}); err != nil {
		return fmt.Errorf("stop supervisor %d: %w", id.PID, err)
	}
	return nil
}

// program asks with an id of its own.
func (c *Client) program(ctx context.Context, r request) (answer, error) {
	c.mu.Lock()
	c.next++
	r.ID = c.next
	c.mu.Unlock()
	res, err := c.ask(ctx, r)
	if err == nil && res.answer.Error != "" {
		err = errors.New(res.answer.Error)
	}
	return res.answer, err
}

// answerProgram answers start, wait and stop.
func (s *server) answerProgram(ctx context.Context, r request) {
	a := answer{Op: r.Op, ID: r.ID}
	var err error
	switch {
	case s.programs == nil:
		err = errors.New("this machine runs no foreign programs")
	case r.Op == "start":
		var id proctab.ID
		// A start that was begun is finished, also if who asked is gone by then:
		// the next run finds it.
		if id, err = s.programs.Start(context.WithoutCancel(ctx), r.Name, r.Order); err == nil {
			a.Process = &id
		}
	case r.Process == nil:
		err = errors.New("no process is named")
	case r.Op == "wait":
		err = s.programs.Wait(ctx, *r.Process)
	default:
		err = s.programs.Stop(ctx, *r.Process, r.Grace)
	}
	if err != nil {
		a.Error = err.Error()
	}
	// An answer that cannot be written meets a dead child: the loop ends too.
	_ = s.wire.write(a)
}
