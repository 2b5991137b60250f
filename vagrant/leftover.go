package vagrant

import (
	"encoding/xml"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/mesoslab/lab"
)

// vmLine is one VM in VBoxManage list vms: its name, which may be inaccessible,
// and its UUID.
var vmLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^"(.*)" \{[0-9a-fA-F-]+\}$`) })

func parseVMs(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if m := vmLine().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

var labID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{8}-node[0-9]+$`) })

// leftOf reports whether a VM was made by a lab of the plan's name that is not
// the plan's: the template calls it <name>-<id>-<node>.
func leftOf(vm string, plan lab.Plan) bool {
	rest, ok := strings.CutPrefix(vm, plan.Spec.WithDefaults().Name+"-")
	return ok && labID().MatchString(rest) && !strings.HasPrefix(rest, plan.ID+"-")
}

// poolPath reads the folder of a storage pool in virsh pool-dumpxml.
func poolPath(text string) (string, error) {
	var doc struct {
		Path string `xml:"target>path"`
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return "", err
	}
	if doc.Path == "" {
		return "", errors.New("the storage pool default has no folder")
	}
	return doc.Path, nil
}
