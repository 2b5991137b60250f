// Package record is what Marathon writes down: it knows under which keys and
// in which form the state lies in the Store.
//
// Nouns: Book (the state in a Store), State (what Load found). Keys, where
// ":" stands for the "/" of ids (ids never hold a colon); values are JSON,
// the framework id is plain text:
//
//	framework:id              the id Mesos gave us
//	group:root                the tree as it is
//	group:root:<version>      the tree as it was
//	app:a:b:<version>         an app as it was
//	task:<task id>            a task that is not over
//	deployment:<id>           a plan under way
//	taskFailure:a:b           an app's last failed task
//
// Write fails when the store does; Keep and Drop record what has happened
// already and are tried again by Flush until they succeed. A write that failed
// may be in the store after all, or come there later: who gives up what was to
// be written drops it. A tree is stored after its plan and the versions of its
// apps; what is newer than the tree belongs to a change that was refused, or
// cut off, and Load drops it. A Book has no lock of its own.
package record

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
	"github.com/mesoslab/lab/mini/marathon/task"
)

// FrameworkKey is where the framework id lies.
const FrameworkKey = "framework:id"

const (
	rootKey    = "group:root"
	versionLen = len("2016-07-06T13:18:47.123Z")
)

// TaskKey is where a task lies.
func TaskKey(id string) string { return "task:" + id }

// DeploymentKey is where a plan lies.
func DeploymentKey(id string) string { return "deployment:" + id }

// FailureKey is where an app's last failure lies.
func FailureKey(appID string) string { return "taskFailure" + flat(appID) }

func flat(appID string) string                   { return strings.ReplaceAll(appID, "/", ":") }
func versionKey(appID string, v app.Time) string { return "app" + flat(appID) + ":" + v.String() }
func historyKey(v app.Time) string               { return rootKey + ":" + v.String() }

// Book is the state in a Store.
type Book struct {
	Store store.Store
	// MaxVersions of each app, and of the tree, are kept.
	MaxVersions int
	Log         func(format string, args ...any)

	versions map[string][]app.Time // of an app, oldest first
	history  []app.Time            // of the tree
	unsaved  map[string][]byte     // nil deletes
	orphans  []string              // to be dropped once the tree is settled
}

// State is what Load found.
type State struct {
	FrameworkID string
	Root        group.Root
	Tasks       map[string]*task.Task
	Plans       []group.Plan // oldest first
	Failures    map[string]task.Failure
}

// Write stores a value now.
func (b *Book) Write(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if err := b.Store.Put(ctx, key, data); err != nil {
		return err
	}
	delete(b.unsaved, key)
	return nil
}

// Keep stores what has happened already; false means later, by Flush.
func (b *Book) Keep(ctx context.Context, key string, v any) (saved bool) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", key, err)) // our own plain structs
	}
	return b.keep(ctx, key, data)
}

// KeepText is Keep for plain text.
func (b *Book) KeepText(ctx context.Context, key, text string) (saved bool) {
	return b.keep(ctx, key, []byte(text))
}

// Drop deletes; false means later, by Flush.
func (b *Book) Drop(ctx context.Context, key string) (saved bool) { return b.keep(ctx, key, nil) }

func (b *Book) keep(ctx context.Context, key string, data []byte) bool {
	var err error
	if data == nil {
		err = b.Store.Delete(ctx, key)
	} else {
		err = b.Store.Put(ctx, key, data)
	}
	if err == nil {
		delete(b.unsaved, key)
		return true
	}
	b.Log("%v; will try again", err)
	if b.unsaved == nil {
		b.unsaved = map[string][]byte{}
	}
	b.unsaved[key] = data
	return false
}

// Settled reports whether everything kept or dropped under a key has reached
// the store.
func (b *Book) Settled(key string) bool {
	_, waiting := b.unsaved[key]
	return !waiting
}

// Flush tries again what could not be kept.
func (b *Book) Flush(ctx context.Context) {
	for key, data := range b.unsaved {
		if !b.keep(ctx, key, data) {
			return
		}
	}
	b.dropOrphans(ctx)
}

func (b *Book) dropOrphans(ctx context.Context) {
	for _, key := range b.orphans {
		b.Drop(ctx, key)
	}
	b.orphans = nil
}

// Load reads the whole state. An empty store gives an empty tree of version
// now.
func (b *Book) Load(ctx context.Context, now app.Time) (State, error) {
	s := State{Root: group.Empty(now), Tasks: map[string]*task.Task{}, Failures: map[string]task.Failure{}}
	b.versions = map[string][]app.Time{}
	keys, err := b.Store.Keys(ctx)
	if err != nil {
		return s, err
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := b.loadOne(ctx, &s, key); err != nil {
			return s, fmt.Errorf("%s: %w", key, err)
		}
	}
	slices.SortFunc(s.Plans, func(a, b group.Plan) int { return a.Version.Compare(b.Version.Time) })
	b.dropNewer(ctx, s.Root.Version)
	s.Plans = b.dropPlans(ctx, s.Plans, s.Root.Version)
	return s, nil
}

// dropNewer drops versions that never counted: they are newer than the tree.
func (b *Book) dropNewer(ctx context.Context, root app.Time) {
	newer := func(v app.Time) bool { return v.After(root.Time) }
	for id, vs := range b.versions {
		for _, v := range vs {
			if newer(v) {
				b.Drop(ctx, versionKey(id, v))
			}
		}
		b.versions[id] = slices.DeleteFunc(vs, newer)
	}
	for _, v := range b.history {
		if newer(v) {
			b.Drop(ctx, historyKey(v))
		}
	}
	b.history = slices.DeleteFunc(b.history, newer)
}

// dropPlans drops plans, of which there are some oldest first, that are not
// under way: newer ones than the tree, whose change never counted, and those
// that a newer one has cancelled, as only one plan may hold an app.
func (b *Book) dropPlans(ctx context.Context, plans []group.Plan, root app.Time) (left []group.Plan) {
	held := map[string]bool{}
	for _, p := range slices.Backward(plans) {
		apps := p.Affected()
		if p.Version.After(root.Time) || slices.ContainsFunc(apps, func(id string) bool { return held[id] }) {
			b.Drop(ctx, DeploymentKey(p.ID))
			continue
		}
		for _, id := range apps {
			held[id] = true
		}
		left = append(left, p)
	}
	slices.Reverse(left)
	return left
}

func (b *Book) loadOne(ctx context.Context, s *State, key string) error {
	kind, rest, _ := strings.Cut(key, ":")
	switch {
	case kind == "app", kind == "group" && key != rootKey:
		return b.noteVersion(kind, rest)
	case key != rootKey && key != FrameworkKey && kind != "task" && kind != "deployment" && kind != "taskFailure":
		return nil // somebody else's
	}
	data, err := b.Store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch kind {
	case "framework":
		s.FrameworkID = string(data)
	case "group":
		return json.Unmarshal(data, &s.Root)
	case "task":
		t := &task.Task{}
		err = json.Unmarshal(data, t)
		s.Tasks[t.ID] = t
	case "deployment":
		var p group.Plan
		err = json.Unmarshal(data, &p)
		s.Plans = append(s.Plans, p)
	case "taskFailure":
		var f task.Failure
		err = json.Unmarshal(data, &f)
		s.Failures[f.AppID] = f
	}
	return err
}

// noteVersion notes that there is an old version, from its name alone.
func (b *Book) noteVersion(kind, rest string) error {
	if len(rest) < versionLen {
		return nil
	}
	v, err := app.ParseTime(rest[len(rest)-versionLen:])
	if err != nil {
		return err
	}
	if kind == "group" {
		b.history = append(b.history, v)
		return nil
	}
	id := "/" + strings.ReplaceAll(strings.TrimSuffix(rest[:len(rest)-versionLen], ":"), ":", "/")
	b.versions[id] = append(b.versions[id], v)
	return nil
}

// SaveRoot writes a new tree and its changed apps, and drops versions that
// are too old to keep. After an error the tree is from, unless the context has
// ended: then the next Load finds out.
func (b *Book) SaveRoot(ctx context.Context, from, to group.Root, plan string) error {
	if err := b.writeRoot(ctx, from, to); err != nil {
		b.retract(ctx, from, to, plan)
		return err
	}
	for _, id := range changed(from, to) {
		b.versions[id] = append(b.versions[id], to.Apps[id].Version)
		for len(b.versions[id]) > b.MaxVersions {
			b.Drop(ctx, versionKey(id, b.versions[id][0]))
			b.versions[id] = b.versions[id][1:]
		}
	}
	b.history = append(b.history, to.Version)
	for len(b.history) > b.MaxVersions {
		b.Drop(ctx, historyKey(b.history[0]))
		b.history = b.history[1:]
	}
	return nil
}

// changed lists the apps of to that have a version of their own there.
func changed(from, to group.Root) (ids []string) {
	for id, a := range to.Apps {
		if !a.Version.Equal(from.Apps[id].Version) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *Book) writeRoot(ctx context.Context, from, to group.Root) error {
	for _, id := range changed(from, to) {
		if err := b.Write(ctx, versionKey(id, to.Apps[id].Version), to.Apps[id]); err != nil {
			return err
		}
	}
	if err := b.Write(ctx, historyKey(to.Version), to); err != nil {
		return err
	}
	return b.Write(ctx, rootKey, to)
}

// retract takes back what a writeRoot has done that failed, and perhaps did
// not. The plan goes last: the new tree without it would be one that nobody
// makes true.
func (b *Book) retract(ctx context.Context, from, to group.Root, plan string) {
	back := b.Keep(ctx, rootKey, from)
	for _, id := range changed(from, to) {
		b.Drop(ctx, versionKey(id, to.Apps[id].Version))
	}
	b.Drop(ctx, historyKey(to.Version))
	b.orphans = append(b.orphans, DeploymentKey(plan))
	if back {
		b.dropOrphans(ctx)
	}
}

// ForgetApp drops everything about an app that is no more.
func (b *Book) ForgetApp(ctx context.Context, id string) {
	for _, v := range b.versions[id] {
		b.Drop(ctx, versionKey(id, v))
	}
	delete(b.versions, id)
	b.Drop(ctx, FailureKey(id))
}

// Versions lists an app's versions, newest first.
func (b *Book) Versions(id string) []app.Time { return newestFirst(b.versions[id]) }

// History lists the tree's versions, newest first.
func (b *Book) History() []app.Time { return newestFirst(b.history) }

func newestFirst(vs []app.Time) []app.Time {
	out := append([]app.Time{}, vs...)
	slices.Reverse(out)
	return out
}

// App reads an app as it was; store.ErrNotFound if it never was so.
func (b *Book) App(ctx context.Context, id string, v app.Time) (app.App, error) {
	var a app.App
	if !slices.ContainsFunc(b.versions[id], v.Equal) {
		return a, store.ErrNotFound
	}
	data, err := b.Store.Get(ctx, versionKey(id, v))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(data, &a)
}

// Root reads the tree as it was.
func (b *Book) Root(ctx context.Context, v app.Time) (group.Root, error) {
	var r group.Root
	data, err := b.Store.Get(ctx, historyKey(v))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}
