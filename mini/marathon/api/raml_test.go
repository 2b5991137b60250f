package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mesoslab/lab/internal/labtest"
)

// example is one body that the documents of Marathon 1.1.1 show: of a
// request (Status "") or of an answer.
type example struct {
	Method, Path, Status, Type string
	Source                     string // its file, or "inline"
	Body                       string
}

func (e example) String() string {
	return strings.Join(strings.Fields(e.Method+" "+e.Path+" "+e.Status+" ("+e.Source+")"), " ")
}

// examples reads every example of the RAML documents, traits included, where
// they lie.
func examples(t *testing.T) []example {
	t.Helper()
	r := &raml{t: t, dir: filepath.Join(labtest.Contracts(t), "marathon", "rest-api-v1.1.1"), traits: map[string]*yaml.Node{}}
	for _, trait := range r.load("traits.raml").Content {
		r.traits[trait.Content[0].Value] = trait.Content[1]
	}
	api := r.load("api.raml")
	for i := 0; i < len(api.Content); i += 2 {
		path, node := api.Content[i].Value, api.Content[i+1]
		if strings.HasPrefix(path, "/") {
			r.resource(path, r.load(node.Value))
		}
	}
	if len(r.found) < 60 {
		t.Fatalf("%d examples: the documents are not read as they should be", len(r.found))
	}
	return r.found
}

// raml walks the documents of one version.
type raml struct {
	t      *testing.T
	dir    string
	traits map[string]*yaml.Node
	found  []example
}

func (r *raml) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// load parses one document, "!include" left as it is.
func (r *raml) load(name string) *yaml.Node {
	r.t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(r.read(name)), &doc); err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return doc.Content[0]
}

// resource collects the examples of one resource and of those below it.
func (r *raml) resource(path string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "get", "put", "post", "delete":
			r.method(strings.ToUpper(key), path, v)
		default:
			if strings.HasPrefix(key, "/") {
				r.resource(path+key, v)
			}
		}
	}
}

func (r *raml) method(method, path string, n *yaml.Node) {
	r.bodies(example{Method: method, Path: path}, field(n, "body"))
	r.answers(method, path, field(n, "responses"))
	if is := field(n, "is"); is != nil {
		for _, trait := range is.Content {
			r.answers(method, path, field(r.traits[trait.Value], "responses"))
		}
	}
}

func (r *raml) answers(method, path string, n *yaml.Node) {
	if n == nil {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		r.bodies(example{Method: method, Path: path, Status: n.Content[i].Value}, field(n.Content[i+1], "body"))
	}
}

// bodies adds the example of each media type.
func (r *raml) bodies(e example, n *yaml.Node) {
	if n == nil {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		x := field(n.Content[i+1], "example")
		if x == nil {
			continue
		}
		e.Type, e.Source, e.Body = n.Content[i].Value, "inline", x.Value
		if x.Tag == "!include" {
			name := x.Value
			if _, err := os.Stat(filepath.Join(r.dir, name)); err != nil {
				name = filepath.Join("v2", name)
			}
			e.Source, e.Body = filepath.Base(name), r.read(name)
		}
		r.found = append(r.found, e)
	}
}

// field finds a key of a mapping; nil if there is none.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
