package engine

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/rootfs"
)

// mountPlan is one wanted mount.
type mountPlan struct {
	kind   string // bind, volume, tmpfs
	source string // machine path or volume name; empty: an anonymous volume
	target string
	mode   string
	make   bool // make a missing bind source
}

func (m mountPlan) readOnly() bool { return slices.Contains(strings.Split(m.mode, ","), "ro") }

// planMounts reads Binds, Mounts, Tmpfs and Volumes, outermost target first.
func planMounts(rec *record) ([]mountPlan, error) {
	var plan []mountPlan
	for _, spec := range rec.HostConfig.Binds {
		m, err := parseBind(spec)
		if err != nil {
			return nil, err
		}
		plan = append(plan, m)
	}
	for _, m := range rec.HostConfig.Mounts {
		p, err := parseMount(m)
		if err != nil {
			return nil, err
		}
		plan = append(plan, p)
	}
	for target := range rec.HostConfig.Tmpfs {
		plan = append(plan, mountPlan{kind: "tmpfs", target: target})
	}
	wanted := func(target string) bool {
		return slices.ContainsFunc(plan, func(m mountPlan) bool { return path.Clean(m.target) == path.Clean(target) })
	}
	for target := range rec.Config.Volumes {
		if !wanted(target) {
			plan = append(plan, mountPlan{kind: "volume", target: target})
		}
	}
	return plan, checkTargets(plan)
}

// parseBind reads "source:target[:mode]"; a source that is no path names a
// volume.
func parseBind(spec string) (mountPlan, error) {
	parts := strings.Split(spec, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return mountPlan{}, api.BadRequest("invalid volume specification: '%s'", spec)
	}
	m := mountPlan{kind: "bind", source: parts[0], target: parts[1], make: true}
	if len(parts) == 3 {
		m.mode = parts[2]
	}
	for _, o := range strings.Split(m.mode, ",") {
		if !slices.Contains([]string{"", "ro", "rw", "z", "Z", "nocopy", "private", "rprivate", "shared", "rshared", "slave", "rslave", "cached", "delegated", "consistent"}, o) {
			return mountPlan{}, api.BadRequest("invalid mode: %s", m.mode)
		}
	}
	if !path.IsAbs(m.source) {
		if !validName.MatchString(m.source) {
			return mountPlan{}, api.BadRequest("create %s: \"%s\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", m.source, m.source)
		}
		m.kind = "volume"
	}
	return m, nil
}

// parseMount reads an element of HostConfig.Mounts.
func parseMount(m api.Mount) (mountPlan, error) {
	p := mountPlan{kind: m.Type, source: m.Source, target: m.Target}
	if m.ReadOnly {
		p.mode = "ro"
	}
	switch {
	case m.Type == "bind" && !path.IsAbs(m.Source):
		return p, api.BadRequest("invalid mount config for type \"bind\": invalid mount path: '%s' mount path must be absolute", m.Source)
	case m.Type == "volume" && m.Source != "" && !validName.MatchString(m.Source):
		return p, api.BadRequest("invalid mount config for type \"volume\": invalid volume name: %s", m.Source)
	case m.Type != "bind" && m.Type != "volume" && m.Type != "tmpfs":
		return p, api.BadRequest("mount type unknown: %q", m.Type)
	}
	return p, nil
}

// checkTargets refuses what links cannot stand for.
func checkTargets(plan []mountPlan) error {
	var all, outer []string
	for i, m := range plan {
		if !path.IsAbs(m.target) {
			return api.BadRequest("invalid mount config: invalid mount path: '%s' mount path must be absolute", m.target)
		}
		target := path.Clean(m.target)
		if target == "/" {
			return api.BadRequest("invalid specification: destination can't be '/'")
		}
		if slices.Contains(all, target) {
			return api.BadRequest("Duplicate mount point: %s", target)
		}
		all = append(all, target)
		plan[i].target = target
		if m.kind != "bind" || !rootfs.Virtual(m.source) {
			outer = append(outer, target)
		}
	}
	if inner := rootfs.Nested(all, outer); inner != "" {
		return api.BadRequest("mount point %s lies inside another one: lab-engine cannot mount one inside the other", inner)
	}
	slices.SortFunc(plan, func(a, b mountPlan) int { return strings.Compare(a.target, b.target) })
	return nil
}

// mount makes one mount. anonymous names the volume made for it, if any.
func (e *Engine) mount(c *container, m mountPlan) (point api.MountPoint, anonymous string, err error) {
	point = api.MountPoint{Type: m.kind, Destination: m.target, Mode: m.mode, RW: !m.readOnly()}
	switch m.kind {
	case "tmpfs":
		return point, "", e.tree.Tmpfs(c.root(), m.target)
	case "volume":
		point.Name, point.Driver = m.source, "local"
		var labels map[string]string
		if m.source == "" {
			point.Name, labels = newID(), map[string]string{anonymousLabel: ""}
			anonymous = point.Name
		}
		v, err := e.makeVolume(point.Name, labels)
		if err != nil {
			return point, anonymous, err
		}
		point.Source = v.Mountpoint
	default:
		point.Source, point.Propagation = path.Clean(m.source), "rprivate"
	}
	err = e.tree.Bind(c.root(), point.Source, m.target, m.make)
	switch {
	case errors.Is(err, rootfs.ErrSource):
		err = api.BadRequest("invalid mount config for type \"bind\": bind source path does not exist: %s", point.Source)
	case errors.Is(err, rootfs.ErrOutside):
		err = api.BadRequest("invalid mount config for type \"bind\": %v", err)
	}
	return point, anonymous, err
}
