package engine

import "net/http"

// routes is the whole API. The first that matches answers.
func (e *Engine) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return append([]route{
		on(get, "/_ping", e.ping),
		on(get, "/version", e.version),
		on(get, "/info", e.info),
		on(post, "/auth", e.auth),
		on(get, "/events", e.events),
		on(get, "/system/df", e.diskUsage),

		on(get, "/images/json", e.imageList),
		on(get, "/images/search", emptyList),
		on(post, "/images/create", e.imagePull),
		on(post, "/images/load", e.imageLoad),
		on(post, "/images/prune", e.imagePrune),
		on(get, "/images/get", refuse(http.StatusNotImplemented, "images/get: "+catalogueOnly)),
		on(get, "/images/{name*}/json", e.imageInspect),
		on(get, "/images/{name*}/history", e.imageHistory),
		on(get, "/images/{name*}/get", refuse(http.StatusNotImplemented, "save: "+catalogueOnly)),
		on(post, "/images/{name*}/tag", e.imageTag),
		on(post, "/images/{name*}/push", refuse(http.StatusNotImplemented, "push: "+catalogueOnly)),
		on(del, "/images/{name*}", e.imageRemove),
		on(post, "/build", refuse(http.StatusNotImplemented, "build: "+catalogueOnly)),
		on(post, "/commit", refuse(http.StatusNotImplemented, "commit: "+catalogueOnly)),

		on(get, "/containers/json", e.containerList),
		on(post, "/containers/create", e.containerCreate),
		on(post, "/containers/prune", e.containerPrune),
		on(get, "/containers/{id}/json", e.containerInspect),
		on(get, "/containers/{id}/top", e.containerTop),
		on(get, "/containers/{id}/logs", e.containerLogs),
		on(get, "/containers/{id}/stats", e.containerStats),
		on(get, "/containers/{id}/changes", e.containerChanges),
		on(get, "/containers/{id}/export", refuse(http.StatusNotImplemented, "export: "+catalogueOnly)),
		on(http.MethodHead, "/containers/{id}/archive", e.archiveStat),
		on(get, "/containers/{id}/archive", e.archiveGet),
		on(put, "/containers/{id}/archive", e.archivePut),
		on(post, "/containers/{id}/start", e.containerStart),
		on(post, "/containers/{id}/stop", e.containerStop),
		on(post, "/containers/{id}/restart", e.containerRestart),
		on(post, "/containers/{id}/kill", e.containerKill),
		on(post, "/containers/{id}/pause", e.containerPause),
		on(post, "/containers/{id}/unpause", e.containerUnpause),
		on(post, "/containers/{id}/rename", e.containerRename),
		on(post, "/containers/{id}/update", e.containerUpdate),
		on(post, "/containers/{id}/resize", e.containerResize),
		on(post, "/containers/{id}/wait", e.containerWait),
		on(post, "/containers/{id}/attach", e.containerAttach),
		on(post, "/containers/{id}/exec", e.execCreate),
		on(del, "/containers/{id}", e.containerRemove),
		on(post, "/exec/{id}/start", e.execStart),
		on(post, "/exec/{id}/resize", e.execResize),
		on(get, "/exec/{id}/json", e.execInspect),
	}, e.moreRoutes()...)
}

// moreRoutes are networks, volumes, and what keeps the docker command content
// although the engine has none of it.
func (e *Engine) moreRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	noSwarm := refuse(http.StatusServiceUnavailable,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.")
	list := []route{
		on(get, "/networks", e.networkList),
		on(post, "/networks/create", refuse(http.StatusNotImplemented, "networks/create: lab-engine has the networks bridge, host and none only")),
		on(post, "/networks/prune", e.networkPrune),
		on(get, "/networks/{id}", e.networkInspect),
		on(del, "/networks/{id}", e.networkRemove),
		on(post, "/networks/{id}/connect", refuse(http.StatusNotImplemented, "networks/connect: a container of lab-engine keeps the network it was created with")),
		on(post, "/networks/{id}/disconnect", refuse(http.StatusNotImplemented, "networks/disconnect: a container of lab-engine keeps the network it was created with")),
		on(get, "/volumes", e.volumeList),
		on(post, "/volumes/create", e.volumeCreate),
		on(post, "/volumes/prune", e.volumePrune),
		on(get, "/volumes/{name}", e.volumeInspect),
		on(del, "/volumes/{name}", e.volumeRemove),
		on(get, "/plugins", emptyList),
		on(get, "/distribution/{name*}/json", refuse(http.StatusNotImplemented, "distribution: "+catalogueOnly)),
		on(post, "/build/prune", buildPrune),
		on(post, "/session", refuse(http.StatusNotImplemented, "session: "+catalogueOnly)),
	}
	for _, what := range []string{"swarm", "nodes", "services", "tasks", "secrets", "configs"} {
		list = append(list, on(get, "/"+what, noSwarm), on(get, "/"+what+"/{id}", noSwarm), on(post, "/"+what+"/create", noSwarm))
	}
	return append(list, on(post, "/swarm/{what}", refuse(http.StatusNotImplemented, "lab-engine has no swarm mode")))
}
