package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/mesoslab/lab/mini/mesos/agent/fetcher"
	"github.com/mesoslab/lab/mini/supervise"
)

// fetchLog is the file in a task's run folder that keeps what the fetcher said.
const fetchLog = "fetch"

// fetching brings the URIs of one task into its sandbox.
type fetching struct {
	fetcher   *fetcher.Fetcher
	job       fetcher.Job
	container string
	log       string // fetchLog
}

// fetching says what brings a task's URIs, nil if it has none. The loop calls it,
// before the task is on disk.
func (a *agent) fetching(t *task, user string) (*fetching, error) {
	uris := t.info.GetCommand().GetURIs()
	if len(uris) == 0 {
		return nil, nil
	}
	if err := fetcher.Validate(uris); err != nil {
		return nil, err
	}
	if a.fetcher == nil {
		client := a.env.HTTPClient()
		client.CheckRedirect = nil // the library's: at most ten
		// One cache for each id, as the real one has it: it is cleared here.
		cache, err := fetcher.NewCache(a.env.Path(path.Join(a.cfg.FetcherCacheDir, "slaves", a.id())), a.cfg.FetcherCacheSize)
		if err != nil {
			return nil, err
		}
		a.fetcher = &fetcher.Fetcher{Client: client, Home: a.cfg.FrameworksHome, Cache: cache,
			Open: func(name string) (*os.File, error) { return os.Open(a.env.Path(name)) }}
	}
	return &fetching{
		fetcher: a.fetcher, container: t.container,
		job: fetcher.Job{URIs: uris, Sandbox: a.env.Path(t.sandbox), Shown: t.sandbox, User: user},
		log: filepath.Join(a.store.Run(a.id(), t.ref.FrameworkID, t.ref.TaskID, t.container), fetchLog),
	}, nil
}

// run fetches. What it says goes to the sandbox's stderr, and is kept for who
// writes that file anew.
func (f *fetching) run(ctx context.Context) error {
	stderr, err := os.OpenFile(filepath.Join(f.job.Sandbox, "stderr"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer stderr.Close()
	kept, err := os.Create(f.log)
	if err != nil {
		return err
	}
	defer kept.Close()
	job := f.job
	job.Log = io.MultiWriter(kept, stderr)
	if err := f.fetcher.Fetch(ctx, job); err != nil {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		// The words of Mesos (1.3, FetcherProcess::run), and then why.
		return fmt.Errorf("Failed to fetch all URIs for container '%s' with exit status: 256 (%w)", f.container, err) //lint:ignore ST1005 schedulers see it
	}
	return nil
}

// fetch brings the URIs and makes them the user's. Nothing of the user has run in
// the sandbox before, so no link in it leads to what is another's.
func (c *command) fetch(ctx context.Context) error {
	if c.fetching == nil {
		return nil
	}
	if err := c.fetching.run(ctx); err != nil {
		return err
	}
	uid, gid, other, err := supervise.Owner(c.order.User)
	if err != nil || !other {
		return err
	}
	return filepath.WalkDir(c.order.Dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, uid, gid)
	})
}
