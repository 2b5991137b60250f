package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// errMethod says that a path does not know the method.
var errMethod = errors.New("HTTP 405 Method Not Allowed")

type message struct {
	Message string `json:"message"`
}

type details struct {
	Message string        `json:"message"`
	Details []app.Problem `json:"details"`
}

// fail maps errors to answers, in one place (contracts 1, "Error bodies").
func fail(w http.ResponseWriter, err error) {
	var syntax *app.SyntaxError
	var types *app.TypeError
	var invalid *app.InvalidError
	var notFound *core.NotFoundError
	var conflict *core.ConflictError
	var locked *core.LockedError
	var ports *group.PortsExhaustedError
	var large *store.TooLargeError
	var illegal *illegalError
	var senseless *core.IllegalError
	switch {
	case errors.As(err, &syntax):
		writeJSON(w, http.StatusBadRequest, map[string]string{"message": "Invalid JSON", "details": syntax.Err.Error()})
	case errors.As(err, &types):
		writeJSON(w, http.StatusBadRequest, details{"Invalid JSON", types.Problems})
	case errors.As(err, &invalid):
		writeJSON(w, http.StatusUnprocessableEntity, details{"Object is not valid", invalid.Problems})
	case errors.As(err, &illegal):
		writeJSON(w, illegal.status, message{illegal.text})
	case errors.As(err, &senseless):
		writeJSON(w, http.StatusUnprocessableEntity, message{senseless.Message})
	case errors.As(err, &notFound):
		writeJSON(w, http.StatusNotFound, message{notFound.Message})
	case errors.As(err, &conflict):
		writeJSON(w, http.StatusConflict, message{conflict.Message})
	case errors.As(err, &locked):
		refs := []view.Ref{}
		for _, id := range locked.Deployments {
			refs = append(refs, view.Ref{ID: id})
		}
		writeJSON(w, http.StatusConflict, struct {
			Message     string     `json:"message"`
			Deployments []view.Ref `json:"deployments"`
		}{locked.Error(), refs})
	case errors.As(err, &large):
		writeJSON(w, http.StatusUnprocessableEntity, details{"Object is not valid", []app.Problem{{Path: "/", Errors: []string{
			fmt.Sprintf("The way we persist groups in ZooKeeper would exceed the maximum ZK node size (%d bytes). "+
				"You can adjust this value via --zk_max_node_size, but make sure this value is compatible with your ZooKeeper ensemble!", large.Max)}}}})
	case errors.As(err, &ports):
		writeJSON(w, http.StatusUnprocessableEntity, message{ports.Error()})
	case errors.Is(err, errMethod):
		writeJSON(w, http.StatusMethodNotAllowed, message{err.Error()})
	case errors.Is(err, store.ErrUnavailable):
		writeJSON(w, http.StatusServiceUnavailable, message{"Marathon has no leader or cannot reach its store: " + err.Error()})
	default:
		writeJSON(w, http.StatusInternalServerError, message{err.Error()})
	}
}

// illegalError is an argument that makes no sense.
type illegalError struct {
	status int
	text   string
}

func (e *illegalError) Error() string { return e.text }
