package stack

import (
	"encoding/json"
	"reflect"
	"strings"
)

// satisfies reports whether an app that Marathon shows already is what a
// definition asks for: every value that the definition names is there.
// Marathon adds defaults, so the other direction does not count. Ports asked
// for as 0 are given by Marathon and satisfied by any number.
func satisfies(app json.RawMessage, d Definition) bool {
	var have, want map[string]any
	if json.Unmarshal(app, &have) != nil || json.Unmarshal(d.JSON, &want) != nil {
		return false
	}
	return covers(have, want, "")
}

// givenPorts are keys under which 0 means "any".
var givenPorts = map[string]bool{"servicePort": true, "ports": true, "port": true}

// checkDefaults is what Marathon takes for a health check's missing values. A
// list of checks is replaced as a whole, so what is not named must stand at
// these.
var checkDefaults = map[string]any{
	"protocol": "HTTP", "path": "/", "gracePeriodSeconds": 300.0, "intervalSeconds": 60.0,
	"timeoutSeconds": 20.0, "maxConsecutiveFailures": 3.0,
}

func defaultsHold(have, want map[string]any) bool {
	for k, d := range checkDefaults {
		_, named := want[k]
		if h, shown := have[k]; !named && shown && h != nil && h != d {
			return false
		}
	}
	return true
}

func covers(have, want any, key string) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return len(want) == 0
		}
		if key == "labels" || key == "env" { // these are replaced as a whole
			return reflect.DeepEqual(have, want)
		}
		for k, w := range want {
			if !covers(have[k], w, k) {
				return false
			}
		}
		return key != "healthChecks" || defaultsHold(have, want)
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return len(want) == 0 && len(have) == 0
		}
		for i, w := range want {
			if !covers(have[i], w, key) {
				return false
			}
		}
		return true
	case string:
		have, ok := have.(string)
		if key == "id" {
			return ok && strings.Trim(have, "/") == strings.Trim(want, "/")
		}
		return ok && have == want || !ok && want == ""
	case bool:
		return have == want || have == nil && !want
	case float64:
		if want == 0 && givenPorts[key] {
			return true
		}
		return have == want || have == nil && want == 0
	}
	return reflect.DeepEqual(have, want)
}
