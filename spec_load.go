package lab

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxSpecSize bounds what LoadSpec reads: a spec is a page, not a database.
const maxSpecSize = 1 << 20

// LoadSpec reads a lab.yaml. It is strict: unknown keys, wrong types and
// values that are not allowed are errors with file, line, key, value and what
// is allowed, all of them at once. name stands for the file in these errors.
// Unset fields stay zero; see WithDefaults.
func LoadSpec(name string, r io.Reader) (Spec, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSpecSize+1))
	if err != nil {
		return Spec{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxSpecSize {
		return Spec{}, specError(name, []Problem{{Message: "larger than 1 MiB"}}, nil)
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Spec{}, nil // an empty file asks for the default lab
	} else if err != nil {
		return Spec{}, specError(name, []Problem{{Message: strings.TrimPrefix(err.Error(), "yaml: ")}}, nil)
	}
	w := walker{lines: map[string]int{}}
	w.walk("", doc.Content[0], reflect.TypeFor[Spec]())
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		w.add("", 0, "a second document: one lab, one document")
	}
	var spec Spec
	if len(w.problems) == 0 {
		if err := doc.Content[0].Decode(&spec); err != nil {
			w.add("", 0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	problems := w.problems
	if len(problems) == 0 {
		problems = spec.Validate()
		for _, key := range []string{"slaves", "machine.cpus"} {
			if line, ok := w.lines[key]; ok && w.zero[key] {
				problems = append(problems, Problem{Path: key, line: line, Value: "0", Message: "must be at least 1"})
			}
		}
	}
	if len(problems) > 0 {
		return Spec{}, specError(name, problems, w.lines)
	}
	return spec, nil
}

// Problem is one thing wrong with a spec.
type Problem struct {
	Path    string // docker.tcp, ips[2]
	Value   string
	Message string // what is wrong and what is allowed
	line    int
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	if p.Value != "" {
		fmt.Fprintf(&b, "%q ", p.Value)
	}
	b.WriteString(p.Message)
	return b.String()
}

// specError joins problems into one error with a line each.
func specError(name string, problems []Problem, lines map[string]int) error {
	for i, p := range problems {
		if p.line == 0 {
			problems[i].line = lines[p.Path]
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.line - b.line })
	var texts []string
	for _, p := range problems {
		at := name
		if p.line > 0 {
			at = fmt.Sprintf("%s:%d", name, p.line)
		}
		texts = append(texts, at+": "+p.String())
	}
	return &Error{
		ID: "spec-invalid", Op: "read spec",
		Err:    fmt.Errorf("%w: %s", ErrUsage, strings.Join(texts, "\n")),
		Advice: "correct the lines above; nothing was changed",
	}
}

// walker checks a YAML tree against Go types and remembers where each key
// stands.
type walker struct {
	lines    map[string]int
	zero     map[string]bool
	problems []Problem
}

func (w *walker) add(path string, line int, format string, args ...any) {
	w.problems = append(w.problems, Problem{Path: path, line: line, Message: fmt.Sprintf(format, args...)})
}

func (w *walker) walk(path string, n *yaml.Node, t reflect.Type) {
	w.lines[path] = n.Line
	if n.Kind == yaml.AliasNode {
		w.add(path, n.Line, "is an alias: write the value itself")
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case isScalarType(t):
		w.scalar(path, n, t)
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			w.add(path, n.Line, "is %s, must be a list", describe(n))
			return
		}
		for i, c := range n.Content {
			w.walk(fmt.Sprintf("%s[%d]", path, i), c, t.Elem())
		}
	default:
		w.mapping(path, n, t)
	}
}

func (w *walker) mapping(path string, n *yaml.Node, t reflect.Type) {
	if n.Kind != yaml.MappingNode {
		if n.Tag == "!!null" && path != "" {
			return // "vagrant:" with nothing below it
		}
		w.add(path, n.Line, "is %s, must be a mapping of keys to values", describe(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := strings.TrimPrefix(path+"."+key.Value, ".")
		if seen[key.Value] {
			w.add(sub, key.Line, "stands here twice")
			continue
		}
		seen[key.Value] = true
		if t.Kind() == reflect.Map {
			w.walk(sub, value, t.Elem())
			continue
		}
		fields := fieldsOf(t)
		ft, ok := fields[key.Value]
		if !ok {
			var known []string
			for k := range fields {
				known = append(known, k)
			}
			slices.Sort(known)
			w.add(sub, key.Line, "unknown key; allowed here: %s%s", strings.Join(known, ", "), DidYouMean(key.Value, known))
			continue
		}
		w.walk(sub, value, ft)
	}
}

func (w *walker) scalar(path string, n *yaml.Node, t reflect.Type) {
	want := map[reflect.Kind]string{reflect.String: "text", reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Int64: "a size like 1GiB"}[t.Kind()]
	if t == reflect.TypeFor[time.Duration]() {
		want = "a duration like 2s"
	}
	if n.Kind != yaml.ScalarNode {
		w.add(path, n.Line, "is %s, must be %s", describe(n), want)
		return
	}
	if err := n.Decode(reflect.New(t).Interface()); err != nil {
		w.problems = append(w.problems, Problem{Path: path, line: n.Line, Value: n.Value, Message: "must be " + want})
		return
	}
	if t.Kind() == reflect.Int && n.Value == "0" {
		if w.zero == nil {
			w.zero = map[string]bool{}
		}
		w.zero[path] = true
	}
}

func isScalarType(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		out[t.Field(i).Tag.Get("yaml")] = t.Field(i).Type
	}
	return out
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "empty"
	}
	return fmt.Sprintf("%q", n.Value)
}
