package app

import "reflect"

// SameConfig reports whether a and b are the same but for version and
// version info: a change of nothing.
func (a App) SameConfig(b App) bool {
	a.Version, b.Version = Time{}, Time{}
	a.VersionInfo, b.VersionInfo = nil, nil
	return reflect.DeepEqual(a, b)
}
