package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// daemonJSONPath is dockerd's other configuration. dockerd does not start if
// the same thing is said there and on its command line, even alike.
const daemonJSONPath = "/etc/docker/daemon.json"

// flagKeys names what dockerd's flags are called in daemon.json where that is
// not the flag's own name: those that may be given several times.
var flagKeys = map[string]string{
	"H": "hosts", "host": "hosts", "D": "debug", "l": "log-level", "g": "data-root", "graph": "data-root", "G": "group", "p": "pidfile", "s": "storage-driver",
	"dns-opt": "dns-opts", "label": "labels", "log-opt": "log-opts", "storage-opt": "storage-opts", "exec-opt": "exec-opts",
	"registry-mirror": "registry-mirrors", "insecure-registry": "insecure-registries", "authorization-plugin": "authorization-plugins",
	"default-ulimit": "default-ulimits", "add-runtime": "runtimes", "node-generic-resource": "node-generic-resources",
}

// conflicts returns the keys of a daemon.json that the engine's options say,
// too. Where a systemd unit starts the engine, its own -H fd:// makes hosts one
// of them in any case.
func conflicts(file []byte, opts string, unit bool) ([]string, error) {
	if len(strings.TrimSpace(string(file))) == 0 {
		return nil, nil
	}
	var settings map[string]json.RawMessage
	if err := json.Unmarshal(file, &settings); err != nil {
		return nil, fmt.Errorf("%s: dockerd cannot read it: %w", daemonJSONPath, err)
	}
	said := optionKeys(opts)
	if unit {
		said = append(said, "hosts")
	}
	var out []string
	for key := range settings {
		if slices.Contains(said, key) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out, nil
}

// optionKeys returns what the flags of a DOCKER_OPTS are called in daemon.json.
func optionKeys(opts string) []string {
	var out []string
	for _, word := range strings.Fields(opts) {
		name, isLong := strings.CutPrefix(word, "--")
		if !isLong {
			short, isShort := strings.CutPrefix(word, "-")
			if !isShort || short == "" {
				continue
			}
			name = short[:1] // -Htcp://…, -D
			if long := strings.TrimLeft(short, "abcdefghijklmnopqrstuvwxyz-"); len(short) > 3 && (long == "" || long[0] == '=') {
				name = short // engines of 2014 take -debug, -tls=false
			}
		}
		name, _, _ = strings.Cut(name, "=")
		if key, ok := flagKeys[name]; ok {
			name = key
		}
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// conflictError says what stands in the way in daemon.json.
func conflictError(keys []string) error {
	return errors.New(daemonJSONPath + " sets " + strings.Join(keys, ", ") + ", which DOCKER_OPTS in " + defaultsPath + " sets, too: dockerd does not start with both")
}
