package core

import "github.com/mesoslab/lab/mini/marathon/store"

// ErrOver says that this term of leadership is over, or the store away: try
// again, perhaps elsewhere.
var ErrOver = store.ErrUnavailable

// NotFoundError says that there is no such thing (404).
type NotFoundError struct{ Message string }

func (e *NotFoundError) Error() string { return e.Message }

// IllegalError says that a well-formed request makes no sense (422). 1.1.1
// answers those with a message alone.
type IllegalError struct{ Message string }

func (e *IllegalError) Error() string { return e.Message }

// ConflictError says that there is such a thing already (409).
type ConflictError struct{ Message string }

func (e *ConflictError) Error() string { return e.Message }

// LockedError says that deployments hold an app (409).
type LockedError struct{ Deployments []string }

func (e *LockedError) Error() string {
	return "App is locked by one or more deployments. Override with the option '?force=true'. " +
		"View details at '/v2/deployments/<DEPLOYMENT_ID>'."
}

func newLockedError(ds []*deployment) *LockedError {
	e := &LockedError{}
	for _, d := range ds {
		e.Deployments = append(e.Deployments, d.ID)
	}
	return e
}

// NoApp is the error for an app that does not exist.
func NoApp(id string) error { return &NotFoundError{"App '" + id + "' does not exist"} }

// NoGroup is the error for a group that does not exist.
func NoGroup(id string) error { return &NotFoundError{"Group '" + id + "' does not exist"} }
