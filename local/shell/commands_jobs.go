package shell

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
)

// jobsOf are the jobs of the shell that runs the command, or none.
func (p *Proc) jobsOf() *jobs {
	if p.session.prompt == nil {
		return &jobs{}
	}
	return p.session.prompt.jobs
}

func listJobs(_ context.Context, p *Proc) int {
	for _, x := range p.jobsOf().all() {
		p.printf("%s", x.line())
		if x.ended() {
			p.jobsOf().forget(x)
		}
	}
	return 0
}

// fg waits for a job; ctrl-C ends it.
func fg(ctx context.Context, p *Proc) int {
	spec := strings.Join(p.Args[1:], " ")
	x := p.jobsOf().find(spec)
	if x == nil {
		p.Args[0] = "bash: fg"
		return p.errorf("%s: no such job", orCurrent(spec))
	}
	p.printf("%s\n", x.text)
	defer p.jobsOf().forget(x)
	select {
	case <-x.done:
	case <-ctx.Done():
		x.cancel(killed{syscall.SIGINT})
		<-x.done
	}
	return x.status
}

func orCurrent(spec string) string {
	if spec == "" {
		return "current"
	}
	return spec
}

func bg(_ context.Context, p *Proc) int {
	spec := strings.Join(p.Args[1:], " ")
	p.Args[0] = "bash: bg"
	if x := p.jobsOf().find(spec); x != nil {
		return p.errorf("job %d already in background", x.number)
	}
	return p.errorf("%s: no such job", orCurrent(spec))
}

func disown(_ context.Context, p *Proc) int {
	specs := p.Args[1:]
	if len(specs) == 0 {
		specs = []string{""}
	}
	for _, spec := range specs {
		if x := p.jobsOf().find(spec); x != nil {
			p.jobsOf().forget(x) // it still ends with the shell
		}
	}
	return 0
}

// waitJobs waits for jobs, or for all of them.
func waitJobs(ctx context.Context, p *Proc) int {
	list := p.jobsOf().all()
	if len(p.Args) > 1 {
		list = nil
		for _, spec := range p.Args[1:] {
			x := p.jobsOf().find(spec)
			if x == nil {
				p.Args[0] = "bash: wait"
				p.errorf("pid %s is not a child of this shell", spec)
				return 127
			}
			list = append(list, x)
		}
	}
	status := 0
	for _, x := range list {
		select {
		case <-x.done:
			p.jobsOf().forget(x)
			if len(p.Args) > 1 {
				status = x.status
			}
		case <-ctx.Done():
			return 130
		}
	}
	return status
}

// killJob signals a job; ok says that there is one of that name.
func (p *Proc) killJob(spec string, sig syscall.Signal) (ok bool, err error) {
	x := p.jobsOf().find(spec)
	if spec == "" || x == nil {
		return false, nil
	}
	if x.ended() {
		return true, os.ErrProcessDone
	}
	switch {
	case sig == 0 || harmless(sig):
	case stops(sig):
		return true, errors.New("a job cannot be stopped: operation not supported")
	default:
		x.cancel(killed{sig})
	}
	return true, nil
}
