package mjson

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// field is what a mesos-go struct field's protobuf tag says.
type field struct {
	index    int
	number   int
	name     string // snake_case, as on the wire
	camel    string // the other spelling that protobuf's JSON allows
	enum     string // full name of the enum type, or ""
	required bool
	repeated bool
}

// fieldCache maps a struct type to its fields, sorted by name: reading tags
// for every task of every answer would be most of the work.
var fieldCache sync.Map

func fieldsOf(t reflect.Type) []field {
	if f, ok := fieldCache.Load(t); ok {
		return f.([]field)
	}
	var list []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("protobuf")
		if tag == "" {
			continue
		}
		f := field{index: i}
		for i, part := range strings.Split(tag, ",") {
			switch {
			case i == 1:
				f.number, _ = strconv.Atoi(part)
			case part == "req":
				f.required = true
			case part == "rep":
				f.repeated = true
			case strings.HasPrefix(part, "name="):
				f.name = part[len("name="):]
			case strings.HasPrefix(part, "json="):
				f.camel = part[len("json="):]
			case strings.HasPrefix(part, "enum="):
				f.enum = part[len("enum="):]
			}
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	fieldCache.Store(t, list)
	return list
}

// Proto returns a mesos-go message (a struct or a pointer to one) as an
// Object with sorted keys, as the v1 APIs print messages. A nil pointer is an
// empty object.
func Proto(m any) Object { return printer{}.top(m) }

// ProtoByNumber is Proto with the keys in the order of the fields' numbers,
// as the classic endpoints print the messages they contain.
func ProtoByNumber(m any) Object { return printer{byNumber: true}.top(m) }

type printer struct{ byNumber bool }

func (p printer) top(m any) Object {
	v := reflect.ValueOf(m)
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return Object{}
		}
		v = v.Elem()
	}
	return p.message(v)
}

func (p printer) message(v reflect.Value) Object {
	fields := fieldsOf(v.Type())
	if p.byNumber {
		fields = slices.SortedFunc(slices.Values(fields), func(a, b field) int { return cmp.Compare(a.number, b.number) })
	}
	o := Object{}
	for _, f := range fields {
		fv := v.Field(f.index)
		switch fv.Kind() {
		case reflect.Pointer:
			if fv.IsNil() {
				continue
			}
		case reflect.Slice, reflect.Map:
			if fv.Len() == 0 && !(f.required && !f.repeated) {
				continue
			}
		}
		o = o.Put(f.name, p.value(fv, f))
	}
	return o
}

func (p printer) value(v reflect.Value, f field) any {
	switch v.Kind() {
	case reflect.Pointer:
		return p.value(v.Elem(), f)
	case reflect.Struct:
		return p.message(v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes())
		}
		list := make(Array, v.Len())
		for i := range list {
			list[i] = p.value(v.Index(i), f)
		}
		return list
	case reflect.Map:
		return p.entries(v, f)
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Float64, reflect.Float32:
		return v.Float()
	case reflect.Int32, reflect.Int64:
		if s, ok := v.Interface().(fmt.Stringer); ok && f.enum != "" {
			return s.String()
		}
		return v.Int()
	case reflect.Uint32, reflect.Uint64:
		return v.Uint()
	}
	panic(fmt.Sprintf("mjson: cannot print field %s of type %v", f.name, v.Type()))
}

func (p printer) entries(v reflect.Value, f field) Object {
	o := Object{}
	for it := v.MapRange(); it.Next(); {
		o = o.Put(it.Key().String(), p.value(it.Value(), f))
	}
	slices.SortFunc(o, func(a, b Member) int { return cmp.Compare(a.Key, b.Key) })
	return o
}
