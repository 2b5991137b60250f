package engine

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/rootfs"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// create makes a container and its folder.
func (e *Engine) create(name string, req api.CreateRequest) (*container, []string, error) {
	if e.isClosing() {
		return nil, nil, api.Errorf(503, "the engine is shutting down")
	}
	if req.Config.Image == "" {
		return nil, nil, api.BadRequest("config cannot be empty in order to create a container: no image was given")
	}
	image, err := e.images.find(req.Config.Image)
	if err != nil {
		return nil, nil, err
	}
	host := req.HostConfig
	if host == nil {
		host = &api.HostConfig{}
	}
	warnings, err := checkHost(host)
	if err != nil {
		return nil, nil, err
	}
	rec := record{
		Format: 1, ID: newID(), Created: time.Now(), Status: created,
		Image: e.images.catalogue[image].Name, ImageID: e.images.ids[image],
		Config: req.Config, HostConfig: *host,
	}
	if err := e.images.catalogue[image].fill(&rec); err != nil {
		return nil, nil, err
	}
	if rec.Config.Hostname == "" {
		rec.Config.Hostname = rec.ID[:12]
		if rec.HostConfig.NetworkMode == "host" {
			rec.Config.Hostname = e.cfg.Hostname
		}
	}
	if rec.Name, err = e.reserve(strings.TrimPrefix(name, "/"), rec.ID); err != nil {
		return nil, nil, err
	}
	c := newContainer(e, rec)
	if err := e.build(c); err != nil {
		e.unreserve(rec.Name, rec.ID)
		return nil, nil, err
	}
	e.mu.Lock()
	e.containers[rec.ID] = c
	e.mu.Unlock()
	c.event("create")
	return c, warnings, nil
}

// fill puts the image's defaults where the request says nothing, as dockerd
// merges an image config.
func (i Image) fill(rec *record) error {
	cfg := &rec.Config
	if cfg.Entrypoint == nil {
		if len(cfg.Cmd) == 0 {
			cfg.Cmd = slices.Clone(i.Cmd)
		}
		cfg.Entrypoint = slices.Clone(i.Entrypoint)
	}
	if len(cfg.Entrypoint) == 1 && cfg.Entrypoint[0] == "" {
		cfg.Entrypoint = nil // --entrypoint ""
	}
	rec.Argv = slices.Concat(cfg.Entrypoint, cfg.Cmd)
	if len(rec.Argv) == 0 {
		return api.BadRequest("no command specified")
	}
	env := append([]string{defaultPath}, i.Env...)
	cfg.Env = mergeEnv(env, cfg.Env)
	if cfg.WorkingDir == "" {
		cfg.WorkingDir = i.WorkingDir
	}
	if cfg.WorkingDir != "" && !path.IsAbs(cfg.WorkingDir) {
		return api.BadRequest("the working directory '%s' is invalid, it needs to be an absolute path", cfg.WorkingDir)
	}
	if cfg.StopSignal == "" {
		cfg.StopSignal = i.StopSignal
	}
	if cfg.StopSignal != "" {
		if _, err := parseSignal(cfg.StopSignal); err != nil {
			return err
		}
	}
	labels := map[string]string{}
	maps.Copy(labels, i.Labels)
	maps.Copy(labels, cfg.Labels)
	cfg.Labels = labels
	for _, p := range i.ExposedPorts {
		if cfg.ExposedPorts == nil {
			cfg.ExposedPorts = api.Set{}
		}
		cfg.ExposedPorts[p] = struct{}{}
	}
	for _, v := range i.Volumes {
		if cfg.Volumes == nil {
			cfg.Volumes = api.Set{}
		}
		cfg.Volumes[v] = struct{}{}
	}
	return normalizePorts(rec)
}

// mergeEnv overlays NAME=value pairs; a bare NAME removes the variable.
func mergeEnv(base, over []string) []string {
	var out []string
	at := map[string]int{}
	for _, kv := range append(slices.Clone(base), over...) {
		k, _, hasValue := strings.Cut(kv, "=")
		i, seen := at[k]
		switch {
		case !hasValue && seen:
			out = slices.Delete(out, i, i+1)
			delete(at, k)
			for name, j := range at {
				if j > i {
					at[name] = j - 1
				}
			}
		case !hasValue:
		case seen:
			out[i] = kv
		default:
			at[k] = len(out)
			out = append(out, kv)
		}
	}
	return out
}

// normalizePorts writes every port as number/protocol and exposes what is
// published.
func normalizePorts(rec *record) error {
	exposed := api.Set{}
	for p := range rec.Config.ExposedPorts {
		n, proto, err := api.ParsePort(p)
		if err != nil {
			return err
		}
		exposed[api.PortKey(n, proto)] = struct{}{}
	}
	bindings := api.PortMap{}
	for p, list := range rec.HostConfig.PortBindings {
		n, proto, err := api.ParsePort(p)
		if err != nil {
			return err
		}
		for _, b := range list {
			if _, _, err := api.ParseHostPort(b.HostPort); err != nil {
				return err
			}
		}
		key := api.PortKey(n, proto)
		exposed[key] = struct{}{}
		bindings[key] = append(bindings[key], list...)
	}
	rec.Config.ExposedPorts, rec.HostConfig.PortBindings = exposed, bindings
	return nil
}

// checkHost validates what concerns the host and fills dockerd's defaults.
func checkHost(h *api.HostConfig) (warnings []string, err error) {
	switch h.NetworkMode {
	case "", "default", "bridge", "host", "none":
	default:
		if strings.HasPrefix(h.NetworkMode, "container:") {
			return nil, api.BadRequest("network mode %s: lab-engine has only host, bridge and none", h.NetworkMode)
		}
		return nil, api.NotFound("network %s not found", h.NetworkMode)
	}
	if h.NetworkMode == "" || h.NetworkMode == "bridge" {
		h.NetworkMode = "default"
	}
	if h.NetworkMode == "host" && len(h.PortBindings) > 0 {
		warnings = append(warnings, "Published ports are discarded when using host network mode")
	}
	if err := checkRestart(h.RestartPolicy); err != nil {
		return nil, err
	}
	if h.RestartPolicy.Name == "" {
		h.RestartPolicy.Name = "no"
	}
	if h.AutoRemove && h.RestartPolicy.Name != "no" {
		return nil, api.BadRequest("can't set 'AutoRemove' for a container with a restart policy other than 'no'")
	}
	if h.Memory != 0 && h.Memory < 6<<20 {
		return nil, api.BadRequest("Minimum memory limit allowed is 6MB")
	}
	if len(h.VolumesFrom) > 0 {
		return nil, api.BadRequest("lab-engine does not know --volumes-from")
	}
	if h.LogConfig.Type == "" {
		h.LogConfig.Type = "json-file"
	}
	if h.LogConfig.Config == nil {
		h.LogConfig.Config = map[string]string{}
	}
	if h.ShmSize == 0 {
		h.ShmSize = 64 << 20
	}
	if h.Runtime == "" {
		h.Runtime = "runc"
	}
	for _, m := range []*string{&h.IpcMode, &h.CgroupnsMode} {
		if *m == "" {
			*m = "private"
		}
	}
	return warnings, nil
}

// checkRestart validates a restart policy.
func checkRestart(p api.RestartPolicy) error {
	switch p.Name {
	case "", "no", "always", "unless-stopped":
		if p.MaximumRetryCount != 0 {
			return api.BadRequest("invalid restart policy: maximum retry count can only be used with 'on-failure'")
		}
	case "on-failure":
		if p.MaximumRetryCount < 0 {
			return api.BadRequest("invalid restart policy: maximum retry count cannot be negative")
		}
	default:
		return api.BadRequest("invalid restart policy: unknown policy '%s'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'", p.Name)
	}
	return nil
}

// build makes the container's folder: rootfs, mounts, config.json.
func (e *Engine) build(c *container) (err error) {
	folder := e.inMachine("containers", c.rec.ID[:12])
	plan, err := planMounts(&c.rec)
	if err != nil {
		return err
	}
	if err := e.tree.Create(c.root(), c.names()); err != nil {
		return err
	}
	var made []string
	defer func() {
		if err != nil {
			e.tree.RemoveAll(folder)
			for _, v := range made {
				e.tree.RemoveAll(e.inMachine("volumes", v))
			}
		}
	}()
	for _, m := range plan {
		point, anonymous, err := e.mount(c, m)
		if anonymous != "" {
			made = append(made, anonymous)
		}
		if err != nil {
			return err
		}
		c.rec.Mounts = append(c.rec.Mounts, point)
	}
	return c.save()
}

// names is what the container's /etc says.
func (c *container) names() rootfs.Names {
	return rootfs.Names{
		Hostname: c.rec.Config.Hostname, IP: c.e.cfg.IP, ExtraHosts: c.rec.HostConfig.ExtraHosts,
	}
}
