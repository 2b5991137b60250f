package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// Keys in the store. Ids never hold a colon, so it stands for the slash.
// Values are JSON, the framework id is plain text.
//
//	framework:id              the id Mesos gave us
//	group:root                the tree as it is
//	group:root:<version>      the tree as it was
//	app:a:b:<version>         an app as it was
//	task:<task id>            a task that is not over
//	deployment:<id>           a plan under way
//	taskFailure:a:b           an app's last failed task
const (
	frameworkKey = "framework:id"
	rootKey      = "group:root"
	versionLen   = len("2016-07-06T13:18:47.123Z")
)

func flat(appID string) string                   { return strings.ReplaceAll(appID, "/", ":") }
func failureKey(appID string) string             { return "taskFailure" + flat(appID) }
func versionKey(appID string, v app.Time) string { return "app" + flat(appID) + ":" + v.String() }

// write puts a value into the store now.
func (c *Core) write(key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := c.Store.Put(c.ctx, key, data); err != nil {
		return err
	}
	delete(c.unsaved, key)
	return nil
}

// persist writes (or with nil deletes) what has happened already; if that
// fails it is tried again until it is done.
func (c *Core) persist(key string, data []byte) (saved bool) {
	var err error
	if data == nil {
		err = c.Store.Delete(c.ctx, key)
	} else {
		err = c.Store.Put(c.ctx, key, data)
	}
	if err != nil {
		c.Log("%v; will try again", err)
		c.unsaved[key] = data
		return false
	}
	delete(c.unsaved, key)
	return true
}

func (c *Core) persistJSON(key string, v any) (saved bool) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", key, err)) // our own plain structs
	}
	return c.persist(key, data)
}

// flush tries failed writes again.
func (c *Core) flush() {
	for key, data := range c.unsaved {
		if !c.persist(key, data) {
			return
		}
	}
}

// load reads the whole state.
func (c *Core) load(ctx context.Context) error {
	keys, err := c.Store.Keys(ctx)
	if err != nil {
		return err
	}
	c.root = group.Empty(now())
	slices.Sort(keys)
	for _, key := range keys {
		if err := c.loadOne(ctx, key); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	c.lastVersion = c.root.Version
	slices.SortFunc(c.deployments, func(a, b *deployment) int { return a.Version.Compare(b.Version.Time) })
	return nil
}

func (c *Core) loadOne(ctx context.Context, key string) error {
	kind, rest, _ := strings.Cut(key, ":")
	switch {
	case kind == "app", kind == "group" && key != rootKey:
		return c.loadVersion(kind, rest)
	case key != rootKey && key != frameworkKey && kind != "task" && kind != "deployment" && kind != "taskFailure":
		return nil // somebody else's
	}
	data, err := c.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch kind {
	case "framework":
		c.frameworkID = string(data)
	case "group":
		return json.Unmarshal(data, &c.root)
	case "task":
		t := &Task{}
		err = json.Unmarshal(data, t)
		c.tasks[t.ID] = t
	case "deployment":
		d := &deployment{}
		err = json.Unmarshal(data, &d.Plan)
		c.deployments = append(c.deployments, d)
	case "taskFailure":
		var f TaskFailure
		err = json.Unmarshal(data, &f)
		c.failures[f.AppID] = f
	}
	return err
}

// loadVersion notes that there is an old version, from its name alone.
func (c *Core) loadVersion(kind, rest string) error {
	if len(rest) < versionLen {
		return nil
	}
	v, err := app.ParseTime(rest[len(rest)-versionLen:])
	if err != nil {
		return err
	}
	if kind == "group" {
		c.rootHistory = append(c.rootHistory, v)
		return nil
	}
	id := "/" + strings.ReplaceAll(strings.TrimSuffix(rest[:len(rest)-versionLen], ":"), ":", "/")
	c.versions[id] = append(c.versions[id], v)
	return nil
}

// saveRoot writes a new tree and its changed apps, and drops versions that
// are too old to keep.
func (c *Core) saveRoot(to group.Root) error {
	for id, a := range to.Apps {
		if a.Version.Equal(c.root.Apps[id].Version) {
			continue
		}
		if err := c.write(versionKey(id, a.Version), a); err != nil {
			return err
		}
		c.versions[id] = append(c.versions[id], a.Version)
		for len(c.versions[id]) > c.cfg.MaxVersions {
			c.persist(versionKey(id, c.versions[id][0]), nil)
			c.versions[id] = c.versions[id][1:]
		}
	}
	if err := c.write(rootKey+":"+to.Version.String(), to); err != nil {
		return err
	}
	if err := c.write(rootKey, to); err != nil {
		return err
	}
	c.rootHistory = append(c.rootHistory, to.Version)
	for len(c.rootHistory) > c.cfg.MaxVersions {
		c.persist(rootKey+":"+c.rootHistory[0].String(), nil)
		c.rootHistory = c.rootHistory[1:]
	}
	return nil
}

// forgetApp drops everything about an app that is no more.
func (c *Core) forgetApp(id string) {
	for _, v := range c.versions[id] {
		c.persist(versionKey(id, v), nil)
	}
	delete(c.versions, id)
	if _, failed := c.failures[id]; failed {
		delete(c.failures, id)
		c.persist(failureKey(id), nil)
	}
}

// readVersion fetches an app as it was.
func (c *Core) readVersion(id string, v app.Time) (app.App, error) {
	var a app.App
	data, err := c.Store.Get(c.ctx, versionKey(id, v))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

// readRoot fetches the tree as it was.
func (c *Core) readRoot(v app.Time) (group.Root, error) {
	var r group.Root
	data, err := c.Store.Get(c.ctx, rootKey+":"+v.String())
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}
