package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Usage writes what --help prints: every flag with its default.
func Usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: mesos-slave [options]\n   or: %s   (with MASTER_IP and LOCAL_IP set)\n\n", StartScript)
	fmt.Fprintf(w, "Every option may also be set as an environment variable MESOS_<OPTION>.\nThose under \"accepted\" are shown in /flags and change nothing here.\n")
	section := func(title string, flags []flag) {
		fmt.Fprintf(w, "\n%s\n", title)
		slices.SortFunc(flags, func(a, b flag) int { return cmp.Compare(a.name, b.name) })
		for _, f := range flags {
			switch {
			case f.unset:
				fmt.Fprintf(w, "  --%s=VALUE\n", f.name)
			case f.kind == boolean:
				fmt.Fprintf(w, "  --[no-]%s (default: %s)\n", f.name, f.value)
			default:
				fmt.Fprintf(w, "  --%s=VALUE (default: %s)\n", f.name, f.value)
			}
		}
	}
	section("Options:", flagsActedOn())
	section("Accepted:", slices.Concat(flagsShown(), flagsUnset()))
}
