package engine

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/events"
)

func (e *Engine) ping(w http.ResponseWriter, r *http.Request, _ vars) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Swarm", "inactive")
	h.Set("Builder-Version", "")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write([]byte("OK"))
	return err
}

// kernel is the kernel's release, "" where it cannot be read.
func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (e *Engine) version(w http.ResponseWriter, _ *http.Request, _ vars) error {
	details := map[string]string{
		"ApiVersion": APIVersion, "MinAPIVersion": MinAPIVersion, "Arch": runtime.GOARCH, "Os": runtime.GOOS,
		"GoVersion": runtime.Version(), "KernelVersion": kernel(), "Experimental": "false",
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"Platform":   map[string]string{"Name": ServerName},
		"Components": []any{map[string]any{"Name": ServerName, "Version": e.cfg.Version, "Details": details}},
		"Version":    e.cfg.Version, "ApiVersion": APIVersion, "MinAPIVersion": MinAPIVersion,
		"GitCommit": "", "GoVersion": runtime.Version(), "Os": runtime.GOOS, "Arch": runtime.GOARCH,
		"KernelVersion": kernel(), "BuildTime": "",
	})
}

// uname is the machine's name for an architecture.
func uname(arch string) string {
	switch arch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return arch
}

func (e *Engine) info(w http.ResponseWriter, _ *http.Request, _ vars) error {
	count := map[string]int{}
	for _, c := range e.all() {
		count[c.snapshot().Status]++
	}
	up, frozen := count[running]+count[restarting], count[paused]
	total := 0
	for _, n := range count {
		total += n
	}
	plugins := map[string]any{"Volume": []string{"local"}, "Network": []string{"bridge", "host", "null"}, "Authorization": nil, "Log": []string{"json-file"}}
	registry := map[string]any{
		"AllowNondistributableArtifactsCIDRs": nil, "AllowNondistributableArtifactsHostnames": nil,
		"InsecureRegistryCIDRs": []string{}, "IndexConfigs": map[string]any{}, "Mirrors": nil,
	}
	swarm := map[string]any{"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": nil}
	commit := map[string]string{"ID": "N/A", "Expected": "N/A"}
	return writeJSON(w, http.StatusOK, map[string]any{
		"ID": e.id, "Name": e.cfg.Hostname, "ServerVersion": e.cfg.Version,
		"Containers": total, "ContainersRunning": up, "ContainersPaused": frozen, "ContainersStopped": total - up - frozen,
		"Images": len(e.images.catalogue), "Driver": "folder", "DriverStatus": [][2]string{{"Containers", "processes without namespaces"}},
		"DockerRootDir": "/" + e.inMachine(), "Plugins": plugins, "RegistryConfig": registry, "Swarm": swarm,
		"MemoryLimit": false, "SwapLimit": false, "CpuCfsPeriod": false, "CpuCfsQuota": false, "CPUShares": false, "CPUSet": false,
		"PidsLimit": false, "OomKillDisable": false, "IPv4Forwarding": true, "BridgeNfIptables": true, "BridgeNfIp6tables": true, "Debug": false,
		"NFd": 0, "NGoroutines": runtime.NumGoroutine(), "NEventsListener": e.bus.Watchers(),
		"SystemTime": time.Now().Format(time.RFC3339Nano), "LoggingDriver": "json-file", "CgroupDriver": "none", "CgroupVersion": "",
		"KernelVersion": kernel(), "OperatingSystem": "lab embedded machine (" + runtime.GOOS + ")", "OSVersion": "",
		"OSType": runtime.GOOS, "Architecture": uname(runtime.GOARCH), "IndexServerAddress": "",
		"NCPU": int(math.Ceil(e.cfg.CPUs)), "MemTotal": e.cfg.MemoryMiB << 20, "GenericResources": nil,
		"HttpProxy": "", "HttpsProxy": "", "NoProxy": "", "Labels": []string{}, "ExperimentalBuild": false,
		"Runtimes": map[string]any{"runc": map[string]string{"path": ServerName}}, "DefaultRuntime": "runc", "LiveRestoreEnabled": false,
		"Isolation": "", "InitBinary": "", "ContainerdCommit": commit, "RuncCommit": commit, "InitCommit": commit,
		"SecurityOptions": []string{}, "Warnings": nil,
	})
}

// auth lets every login succeed: no registry will ever see it.
func (e *Engine) auth(w http.ResponseWriter, _ *http.Request, _ vars) error {
	return writeJSON(w, http.StatusOK, map[string]string{"Status": "Login Succeeded", "IdentityToken": ""})
}

func (e *Engine) diskUsage(w http.ResponseWriter, _ *http.Request, v vars) error {
	var containers []api.Summary
	for _, c := range e.all() {
		containers = append(containers, c.summary(true))
	}
	volumes, err := e.volumes()
	if err != nil {
		return err
	}
	type usage struct {
		volume
		UsageData map[string]int64
	}
	var used []usage
	for _, vol := range volumes {
		used = append(used, usage{vol, map[string]int64{
			"Size": e.tree.Size(e.inMachine("volumes", vol.Name, "_data")), "RefCount": int64(len(e.users(vol.Name))),
		}})
	}
	var images []imageSummary
	for i := range e.images.catalogue {
		images = append(images, e.imageSummary(i))
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"LayersSize": 0, "Images": images, "Containers": containers, "Volumes": used, "BuildCache": []struct{}{},
	})
}

// eventKeys are the filters of GET /events.
var eventKeys = []string{
	"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
	"service", "type", "volume",
}

// eventWanted applies the filters to one event.
func eventWanted(f api.Filters, ev events.Event) bool {
	named := func(key, typ string) bool {
		return f.Any(key, func(v string) bool {
			return ev.Type == typ && (ev.Actor.ID == v || strings.HasPrefix(ev.Actor.ID, v) || ev.Actor.Attributes["name"] == v)
		})
	}
	image := f.Any("image", func(v string) bool {
		a, errA := api.ParseReference(v)
		name := ev.Actor.Attributes["image"]
		if ev.Type == "image" {
			name = ev.Actor.ID
		}
		b, errB := api.ParseReference(name)
		return errA == nil && errB == nil && (a == b || a.Repository == b.Repository && !tagged(v))
	})
	action := f.Any("event", func(v string) bool { return ev.Action == v || strings.HasPrefix(ev.Action, v+":") })
	return action && image && f.Exact("type", ev.Type) && f.Exact("scope", ev.Scope) &&
		named("container", "container") && named("volume", "volume") && named("network", "network") &&
		f.Labels("label", ev.Actor.Attributes)
}

func (e *Engine) events(w http.ResponseWriter, r *http.Request, _ vars) error {
	since, err := api.ParseTime(r.FormValue("since"))
	if err != nil {
		return err
	}
	until, err := api.ParseTime(r.FormValue("until"))
	if err != nil {
		return err
	}
	f, err := api.ParseFilters(r.FormValue("filters"), eventKeys...)
	if err != nil {
		return err
	}
	ctx, cancel := e.during(r.Context())
	defer cancel()
	if !until.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	past, live := e.bus.Subscribe(ctx, since)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	send := func(ev events.Event) error {
		if !eventWanted(f, ev) || !until.IsZero() && ev.TimeNano > until.UnixNano() {
			return nil
		}
		if err := enc.Encode(ev); err != nil {
			return err
		}
		return flush.Flush()
	}
	if err := flush.Flush(); err != nil {
		return err
	}
	for _, ev := range past {
		if err := send(ev); err != nil {
			return err
		}
	}
	for ev := range live {
		if err := send(ev); err != nil {
			return err
		}
	}
	return nil
}

// during is a context that ends with the request and with the engine.
func (e *Engine) during(request context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
