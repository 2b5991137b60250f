package engine

import (
	"net/http"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// catalogueOnly is why images cannot be made or moved.
const catalogueOnly = "lab-engine runs the images of its catalogue only. " +
	"Use a lab with a real Docker engine (provider docker or vagrant) for others"

// refuse answers with an error whatever is asked.
func refuse(status int, message string) endpoint {
	return func(http.ResponseWriter, *http.Request, vars) error { return api.Errorf(status, "%s", message) }
}

func emptyList(w http.ResponseWriter, _ *http.Request, _ vars) error {
	return writeJSON(w, http.StatusOK, []struct{}{})
}

func buildPrune(w http.ResponseWriter, _ *http.Request, _ vars) error {
	return writeJSON(w, http.StatusOK, map[string]any{"CachesDeleted": []string{}, "SpaceReclaimed": 0})
}
