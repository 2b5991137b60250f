package app

import "reflect"

// SameConfig reports whether a and b are the same but for version and
// version info: a change of nothing.
func (a App) SameConfig(b App) bool {
	a.Version, b.Version = Time{}, Time{}
	a.VersionInfo, b.VersionInfo = nil, nil
	return reflect.DeepEqual(a, b)
}

// OnlyVersion reports whether u names nothing but a version, and perhaps the
// id: then it is a rollback.
func (u Update) OnlyVersion() bool {
	return u.Version != nil && reflect.DeepEqual(u, Update{ID: u.ID, Version: u.Version})
}
