package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Problem is what is wrong at one place of a document, in the form clients
// get it: {"path":"/id","errors":["error.expected.jsstring"]}.
type Problem struct {
	Path   string   `json:"path"`
	Errors []string `json:"errors"`
}

// SyntaxError says that a body is no JSON at all (400).
type SyntaxError struct{ Err error }

func (e *SyntaxError) Error() string { return "Invalid JSON: " + e.Err.Error() }
func (e *SyntaxError) Unwrap() error { return e.Err }

// TypeError says that a body is JSON of the wrong shape (400).
type TypeError struct{ Problems []Problem }

func (e *TypeError) Error() string { return "Invalid JSON: " + describe(e.Problems) }

// InvalidError says that a well-formed definition breaks rules (422).
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string { return "Object is not valid: " + describe(e.Problems) }

func describe(ps []Problem) string {
	var s []string
	for _, p := range ps {
		s = append(s, p.Path+" "+strings.Join(p.Errors, ", "))
	}
	return strings.Join(s, "; ")
}

// Value is one place in a JSON document that is being read. Readers collect
// every mismatch instead of stopping at the first, with the words of 1.1.1's
// JSON library.
type Value struct {
	v    any
	path string
	errs *[]Problem
}

// Read parses a body and hands its root to fn. The error is a *SyntaxError
// or a *TypeError.
func Read(body []byte, fn func(Value)) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("no content to map due to end-of-input")
		}
		return &SyntaxError{err}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &SyntaxError{fmt.Errorf("something follows the document at byte %d", d.InputOffset())}
	}
	var errs []Problem
	fn(Value{v: v, errs: &errs})
	if len(errs) > 0 {
		return &TypeError{errs}
	}
	return nil
}

// Fail records a mismatch at this place.
func (n Value) Fail(what string) {
	path := n.path
	if path == "" {
		path = "/"
	}
	for i := range *n.errs {
		if (*n.errs)[i].Path == path {
			(*n.errs)[i].Errors = append((*n.errs)[i].Errors, what)
			return
		}
	}
	*n.errs = append(*n.errs, Problem{path, []string{what}})
}

// Field finds a key of an object; absent and null are both false.
func (n Value) Field(name string) (Value, bool) {
	o, ok := n.v.(map[string]any)
	if !ok || o[name] == nil {
		return Value{path: n.path + "/" + name, errs: n.errs}, false
	}
	return Value{o[name], n.path + "/" + name, n.errs}, true
}

// Keys lists an object's keys, sorted.
func (n Value) Keys() []string {
	o, ok := n.v.(map[string]any)
	if !ok {
		n.Fail("error.expected.jsobject")
	}
	var ks []string
	for k := range o {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// Object records a mismatch unless the place holds an object.
func (n Value) Object() bool {
	_, ok := n.v.(map[string]any)
	if !ok {
		n.Fail("error.expected.jsobject")
	}
	return ok
}

// List walks an array.
func (n Value) List() []Value {
	l, ok := n.v.([]any)
	if !ok {
		n.Fail("error.expected.jsarray")
	}
	out := make([]Value, len(l))
	for i, v := range l {
		out[i] = Value{v, fmt.Sprintf("%s(%d)", n.path, i), n.errs}
	}
	return out
}

// Text reads a string.
func (n Value) Text() string {
	s, ok := n.v.(string)
	if !ok {
		n.Fail("error.expected.jsstring")
	}
	return s
}

// Bool reads true or false.
func (n Value) Bool() bool {
	b, ok := n.v.(bool)
	if !ok {
		n.Fail("error.expected.jsboolean")
	}
	return b
}

// Number reads a number.
func (n Value) Number() float64 {
	j, ok := n.v.(json.Number)
	if !ok {
		n.Fail("error.expected.jsnumber")
		return 0
	}
	f, err := j.Float64()
	if err != nil {
		n.Fail("error.expected.jsnumber")
	}
	return f
}

// Int reads a number without a fraction; 4 and 4.0 are the same.
func (n Value) Int() int {
	f := n.Number()
	if f != float64(int(f)) || f > 1<<31 || f < -1<<31 {
		n.Fail("error.expected.int")
		return 0
	}
	return int(f)
}

// Time reads a timestamp.
func (n Value) Time() Time {
	t, err := ParseTime(n.Text())
	if err != nil {
		n.Fail("error.expected.timestamp")
	}
	return t
}

// Texts reads an array of strings, never nil.
func (n Value) Texts() []string {
	out := []string{}
	for _, v := range n.List() {
		out = append(out, v.Text())
	}
	return out
}

// Ints reads an array of whole numbers, never nil.
func (n Value) Ints() []int {
	out := []int{}
	for _, v := range n.List() {
		out = append(out, v.Int())
	}
	return out
}

// Map reads an object of strings, never nil.
func (n Value) Map() map[string]string {
	out := map[string]string{}
	for _, k := range n.Keys() {
		v, ok := n.Field(k)
		if !ok {
			v.Fail("error.expected.jsstring")
			continue
		}
		out[k] = v.Text()
	}
	return out
}

// OneOf reads a string that must be one of a few.
func (n Value) OneOf(words ...string) string {
	s := n.Text()
	if !slices.Contains(words, s) {
		n.Fail("error.unknown.enum.literal: " + strconv.Quote(s) + " is none of " + strings.Join(words, ", "))
	}
	return s
}

// Raw is the place as encoding/json would have decoded it.
func (n Value) Raw() any { return n.v }
