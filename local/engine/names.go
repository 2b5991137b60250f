package engine

import (
	"math/rand/v2"
	"regexp"
	"strconv"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// validName is dockerd's rule for container and volume names.
var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// Words for containers that nobody named: the lab's own trade.
var (
	nameMoods = []string{
		"able", "brisk", "calm", "daring", "eager", "fair", "gentle", "handy", "jolly", "keen", "lively", "merry",
		"nimble", "patient", "quick", "ready", "sober", "steady", "tidy", "upbeat", "vivid", "wakeful", "witty", "zesty",
	}
	nameThings = []string{
		"abacus", "anvil", "beaker", "bellows", "burner", "caliper", "compass", "crucible", "dynamo", "filter", "flask",
		"funnel", "gauge", "kettle", "ladle", "lathe", "lens", "lever", "magnet", "mortar", "pestle", "pipette",
		"pulley", "quadrant", "retort", "ruler", "scale", "sextant", "sieve", "tripod", "vise", "winch",
	}
)

// randomName makes a name; more than a few tries get a number at the end.
func randomName(try int) string {
	name := nameMoods[rand.IntN(len(nameMoods))] + "_" + nameThings[rand.IntN(len(nameThings))]
	if try > 3 {
		name += strconv.Itoa(rand.IntN(10000))
	}
	return name
}

// reserve takes a name for an id; an empty name is chosen.
func (e *Engine) reserve(name, id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if name == "" {
		for try := 0; ; try++ {
			if name = randomName(try); e.names[name] == "" {
				break
			}
		}
	}
	if !validName.MatchString(name) {
		return "", api.BadRequest("Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	if owner := e.names[name]; owner != "" {
		return "", api.Conflict("Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.", name, owner)
	}
	e.names[name] = id
	return name, nil
}

// unreserve gives a name back if it belongs to the id.
func (e *Engine) unreserve(name, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.names[name] == id {
		delete(e.names, name)
	}
}

// rename gives a container a new name.
func (e *Engine) rename(c *container, name string) error {
	if name == "" {
		return api.BadRequest("Neither old nor new names may be empty")
	}
	old := c.name()
	if name == old {
		return api.BadRequest("Renaming a container with the same name as its current name")
	}
	if _, err := e.reserve(name, c.id()); err != nil {
		return err
	}
	c.mu.Lock()
	if c.removed {
		c.mu.Unlock()
		e.unreserve(name, c.id())
		return api.NotFound("No such container: %s", c.id())
	}
	old, c.rec.Name = c.rec.Name, name
	err := c.changed()
	c.mu.Unlock()
	e.unreserve(old, c.id())
	c.event("rename", "oldName", "/"+old)
	return err
}
