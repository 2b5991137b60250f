package scenarios

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/stack"
)

//go:embed apps/*.json
var builtinApps embed.FS

// AppFile is an app as Marathon is to get it.
type AppFile struct {
	ID   string // without the slash in front
	JSON []byte
	// Builtin apps run lab's own web server: the image is the platform's to
	// fill in.
	Builtin bool
}

// loadApp finds an app of lab's own by name, or reads a JSON file. Fields that
// Marathon 1.1.1 does not know are mistakes: it would ignore them in silence.
func loadApp(name string) (AppFile, error) {
	builtin := !isFile(name)
	var data []byte
	var err error
	if builtin {
		if data, err = builtinApps.ReadFile("apps/" + name + ".json"); err != nil {
			names := appNames()
			return AppFile{}, fmt.Errorf("no app %q: lab's own are %s%s; ./FILE.json is one of your own", name, strings.Join(names, ", "), lab.DidYouMean(name, names))
		}
	} else if data, err = readApp(name); err != nil {
		return AppFile{}, fmt.Errorf("read app: %w", err)
	}
	d, err := stack.LoadDefinition(name, data)
	if err != nil {
		return AppFile{}, err
	}
	if err := knownFields(name, data); err != nil {
		return AppFile{}, err
	}
	return AppFile{ID: strings.Trim(d.ID, "/"), JSON: data, Builtin: builtin}, nil
}

// maxApp is far above what an app's definition takes.
const maxApp = 1 << 20

func readApp(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxApp:
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxApp)
	}
	return os.ReadFile(name)
}

func isFile(name string) bool {
	return strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, ".json")
}

func checkAppName(name string) error {
	_, err := loadApp(name)
	return err
}

func appNames() []string {
	files, _ := fs.Glob(builtinApps, "apps/*.json") // the pattern is right
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), ".json"))
	}
	return names
}

// appFields are the keys of an app and of its parts, as Marathon 1.1.1 reads
// them (AppDefinition.json of its REST documentation). Parts that are missing
// here are not looked into.
var appFields = map[string][]string{
	"": {"id", "cmd", "args", "user", "env", "instances", "cpus", "mem", "disk", "executor", "constraints", "uris", "fetch", "storeUrls",
		"ports", "portDefinitions", "requirePorts", "backoffSeconds", "backoffFactor", "maxLaunchDelaySeconds", "container", "healthChecks",
		"readinessChecks", "dependencies", "upgradeStrategy", "labels", "acceptedResourceRoles", "version", "residency", "ipAddress"},
	"container":                     {"type", "docker", "volumes"},
	"container.docker":              {"image", "network", "portMappings", "privileged", "parameters", "forcePullImage"},
	"container.docker.parameters":   {"key", "value"},
	"container.docker.portMappings": {"containerPort", "hostPort", "servicePort", "protocol", "name", "labels"},
	"container.volumes":             {"containerPath", "hostPath", "mode", "persistent", "external"},
	"fetch":                         {"uri", "extract", "executable", "cache"},
	"healthChecks": {"protocol", "path", "portIndex", "port", "command", "gracePeriodSeconds", "intervalSeconds", "timeoutSeconds",
		"maxConsecutiveFailures", "ignoreHttp1xx"},
	"portDefinitions": {"port", "protocol", "name", "labels"},
	"readinessChecks": {"name", "protocol", "path", "portName", "intervalSeconds", "timeoutSeconds", "httpStatusCodesForReady", "preserveLastResponse"},
	"residency":       {"relaunchEscalationTimeoutSeconds", "taskLostBehavior"},
	"upgradeStrategy": {"minimumHealthCapacity", "maximumOverCapacity"},
}

// knownFields finds keys that Marathon does not know.
func knownFields(name string, data []byte) error {
	var app any
	if err := json.Unmarshal(data, &app); err != nil {
		return fmt.Errorf("read app %s: %w", name, err)
	}
	var problems []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case map[string]any:
			known, ok := appFields[path]
			for _, key := range slices.Sorted(maps.Keys(v)) {
				if ok && !slices.Contains(known, key) {
					problems = append(problems, fmt.Sprintf("Marathon knows no %s%s", strings.TrimPrefix(path+"."+key, "."), lab.DidYouMean(key, known)))
				}
				if _, ok := appFields[strings.TrimPrefix(path+"."+key, ".")]; ok {
					walk(strings.TrimPrefix(path+"."+key, "."), v[key])
				}
			}
		}
	}
	walk("", app)
	if len(problems) > 0 {
		return fmt.Errorf("app %s: %s", name, strings.Join(problems, "; "))
	}
	return nil
}
