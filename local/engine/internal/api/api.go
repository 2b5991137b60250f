// Package api holds the JSON shapes of the Docker Engine API that the engine
// reads and writes, with the small parsers that go with them: ports, API
// versions, filters, references, durations and times in queries.
//
// The shapes follow the public API reference for 1.24–1.44. Only fields that
// the engine interprets, or that clients miss when they are absent, are here;
// others in a request are ignored, as dockerd ignores what it does not know.
// The package does no I/O.
package api

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Error is an answer other than success: a status code and dockerd's message.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// BadRequest, NotFound, Conflict and Unsupported make Errors of the status
// codes that dockerd uses most.
func BadRequest(format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, format, args...)
}

// NotFound is a 404.
func NotFound(format string, args ...any) *Error {
	return Errorf(http.StatusNotFound, format, args...)
}

// Conflict is a 409.
func Conflict(format string, args ...any) *Error {
	return Errorf(http.StatusConflict, format, args...)
}

// Unsupported is a 501: something this engine leaves out on purpose.
func Unsupported(format string, args ...any) *Error {
	return Errorf(http.StatusNotImplemented, format, args...)
}

// ErrNotModified is 304: already in the state asked for.
var ErrNotModified = &Error{Status: http.StatusNotModified}

// Strings is a list that may come as one string, as Cmd and Entrypoint do.
type Strings []string

// UnmarshalJSON accepts null, a string or a list of strings.
func (s *Strings) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*s = nil
		if string(b) != "null" {
			*s = Strings{one}
		}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	*s = many
	return nil
}

// Set is the API's way to write a set of words: {"80/tcp":{}}.
type Set map[string]struct{}
