package mjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/gogo/protobuf/proto"
)

// SyntaxError: the bytes are not JSON. Its text is the one Mesos answers
// with.
type SyntaxError struct {
	Line int
	Near string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("syntax error at line %d near: %s", e.Line, e.Near)
}

// ConvertError: the JSON does not fit the message, or required fields are
// missing. Its text is the one Mesos answers with.
type ConvertError struct{ Text string }

func (e *ConvertError) Error() string { return e.Text }

// Decode reads JSON into the mesos-go message dst (a pointer to a struct).
// Unknown keys are ignored; snake_case and camelCase names are both taken;
// numbers may be written 4 or 4.0. Errors are *SyntaxError or *ConvertError.
func Decode(data []byte, dst any) error {
	raw, err := parse(data)
	if err != nil {
		return err
	}
	return convert(raw, dst)
}

// DecodeArray is Decode for a document that is an array: of what the repeated
// field of that name in dst holds.
func DecodeArray(data []byte, field string, dst any) error {
	raw, err := parse(data)
	if err != nil {
		return err
	}
	if _, ok := raw.([]any); !ok {
		return &ConvertError{"Expecting a JSON array"}
	}
	return convert(map[string]any{field: raw}, dst)
}

func parse(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var raw any
	err := d.Decode(&raw)
	if err == nil {
		if _, extra := d.Token(); extra != io.EOF {
			return nil, syntaxError(data, d.InputOffset())
		}
	} else {
		var s *json.SyntaxError
		if errors.As(err, &s) && s.Offset > 0 && len(bytes.TrimSpace(data)) > 0 {
			return nil, syntaxError(data, s.Offset-1)
		}
		return nil, syntaxError(data, int64(len(data)))
	}
	return raw, nil
}

func convert(raw, dst any) error {
	object, ok := raw.(map[string]any)
	if !ok {
		return &ConvertError{"Expecting a JSON object"}
	}
	var c conversion
	if err := c.message(object, reflect.ValueOf(dst).Elem(), ""); err != nil {
		return err
	}
	if len(c.missing) > 0 {
		return &ConvertError{"Missing required fields: " + strings.Join(c.missing, ", ")}
	}
	return nil
}

func syntaxError(data []byte, at int64) error {
	at = min(at, int64(len(data)))
	near, _, _ := bytes.Cut(data[at:], []byte("\n"))
	if len(near) > 200 {
		near = near[:200]
	}
	return &SyntaxError{Line: 1 + bytes.Count(data[:at], []byte("\n")), Near: string(near)}
}

type conversion struct{ missing []string }

func (c *conversion) message(in map[string]any, v reflect.Value, path string) error {
	for _, f := range fieldsOf(v.Type()) {
		x, ok := in[f.name]
		if !ok && f.camel != "" {
			x, ok = in[f.camel]
		}
		if !ok || x == nil {
			if f.required {
				c.missing = append(c.missing, path+f.name)
			}
			continue
		}
		if err := c.set(x, v.Field(f.index), f, path+f.name); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversion) set(x any, v reflect.Value, f field, path string) error {
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := c.set(x, p.Elem(), f, path); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case reflect.Struct:
		o, ok := x.(map[string]any)
		if !ok {
			return unexpected(x, f)
		}
		return c.message(o, v, path+".")
	case reflect.Slice:
		return c.list(x, v, f, path)
	case reflect.Map:
		return c.entries(x, v, f, path)
	case reflect.Int32, reflect.Int64:
		if f.enum != "" {
			return setEnum(x, v, f)
		}
	}
	return setScalar(x, v, f)
}

func (c *conversion) list(x any, v reflect.Value, f field, path string) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		s, ok := x.(string)
		if !ok {
			return unexpected(x, f)
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return &ConvertError{fmt.Sprintf("Failed to base64 decode bytes field '%s': %v", f.name, err)}
		}
		v.SetBytes(b)
		return nil
	}
	list, ok := x.([]any)
	if !ok {
		return unexpected(x, f)
	}
	s := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, item := range list {
		if err := c.set(item, s.Index(i), f, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	v.Set(s)
	return nil
}

func (c *conversion) entries(x any, v reflect.Value, f field, path string) error {
	o, ok := x.(map[string]any)
	if !ok {
		return unexpected(x, f)
	}
	m := reflect.MakeMap(v.Type())
	for k, item := range o {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := c.set(item, e, f, path+"."+k); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(k), e)
	}
	slices.Sort(c.missing)
	v.Set(m)
	return nil
}

func setEnum(x any, v reflect.Value, f field) error {
	if s, ok := x.(string); ok {
		n, ok := proto.EnumValueMap(f.enum)[s]
		if !ok {
			return &ConvertError{fmt.Sprintf("Failed to find enum for '%s'", s)}
		}
		v.SetInt(int64(n))
		return nil
	}
	return setScalar(x, v, f)
}

func setScalar(x any, v reflect.Value, f field) error {
	switch x := x.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(x)
			return nil
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(x)
			return nil
		}
	case json.Number:
		return setNumber(x, v, f)
	}
	return unexpected(x, f)
}

func setNumber(x json.Number, v reflect.Value, f field) error {
	n, err := x.Float64()
	if err != nil {
		return unexpected(x, f)
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		v.SetFloat(n)
		return nil
	case reflect.Int32, reflect.Int64:
		i, err := x.Int64()
		if err != nil && math.Abs(n) < 1<<62 { // 4.0 is 4 to Mesos
			i, err = int64(n), nil
		}
		if err == nil && !v.OverflowInt(i) {
			v.SetInt(i)
			return nil
		}
	case reflect.Uint32, reflect.Uint64:
		if n >= 0 && n < 1<<63 && !v.OverflowUint(uint64(n)) {
			v.SetUint(uint64(n))
			return nil
		}
	}
	return unexpected(x, f)
}

func unexpected(x any, f field) error {
	kind := "object"
	switch x.(type) {
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case json.Number:
		kind = "number"
	case []any:
		kind = "array"
	}
	return &ConvertError{fmt.Sprintf("Not expecting a JSON %s for field '%s'", kind, f.name)}
}
