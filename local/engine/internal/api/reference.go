package api

import (
	"regexp"
	"strings"
	"sync"
)

var (
	repository = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	})
	// A first part with a dot or a port is a registry.
	registryHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*(\.[a-zA-Z0-9-]+)*(\.[a-zA-Z0-9-]+|:[0-9]+)$`)
	})
	digestName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]+:[A-Za-z0-9]+$`) })
	tagName    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`) })
)

// Reference is an image's name as people write it: nginx, nginx:1.10,
// docker.io/library/nginx:1.10, registry:5000/team/app.
type Reference struct {
	// Repository has no docker.io/ and no library/ in front, Tag is "latest"
	// where none was given; a digest takes the tag's place.
	Repository, Tag string
}

// ParseReference reads a reference.
func ParseReference(s string) (Reference, error) {
	name, digest, pinned := strings.Cut(s, "@")
	if pinned && !digestName().MatchString(digest) {
		return Reference{}, BadRequest("invalid reference format")
	}
	tag := ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
		if !tagName().MatchString(tag) {
			return Reference{}, BadRequest("invalid reference format")
		}
	}
	for before := ""; before != name; {
		before = name
		for _, prefix := range []string{"docker.io/", "index.docker.io/", "library/"} {
			name = strings.TrimPrefix(name, prefix)
		}
	}
	host, rest, _ := strings.Cut(name, "/")
	path := name
	if rest != "" && registryHost().MatchString(host) {
		path = rest
	}
	if strings.ToLower(path) != path {
		return Reference{}, BadRequest("invalid reference format: repository name (%s) must be lowercase", name)
	}
	if !repository().MatchString(path) {
		return Reference{}, BadRequest("invalid reference format")
	}
	switch {
	case digest != "":
		tag = digest
	case tag == "":
		tag = "latest"
	}
	return Reference{name, tag}, nil
}

// String writes repository:tag, or repository@digest.
func (r Reference) String() string {
	if strings.Contains(r.Tag, ":") {
		return r.Repository + "@" + r.Tag
	}
	return r.Repository + ":" + r.Tag
}
