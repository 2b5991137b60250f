package mjson

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Object is a JSON object in the order of its members.
type Object []Member

// Member is one key of an Object. Value is nil, a bool, a string, any
// integer, a float64, an Object, or a slice of these (Array, []Object,
// []string).
type Member struct {
	Key   string
	Value any
}

// Array is a JSON array of anything that a Member may hold.
type Array []any

// Put appends a member and returns the longer object.
func (o Object) Put(key string, value any) Object { return append(o, Member{key, value}) }

// PutIf is Put where ok holds.
func (o Object) PutIf(ok bool, key string, value any) Object {
	if !ok {
		return o
	}
	return o.Put(key, value)
}

// Get returns the value of the first member with that key, or nil.
func (o Object) Get(key string) any {
	for _, m := range o {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// Marshal returns v as JSON. It panics on a type that Member does not list:
// that is a mistake in the program, not in the data.
func Marshal(v any) []byte { return Append(nil, v) }

// Append adds v as JSON to b.
func Append(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v)
	case float64:
		return appendDouble(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int32:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case Object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Key), ':')
			b = Append(b, m.Value)
		}
		return append(b, '}')
	case Array:
		return appendArray(b, v)
	case []Object:
		return appendArray(b, v)
	case []string:
		return appendArray(b, v)
	}
	panic(fmt.Sprintf("mjson: cannot print a %T", v))
}

func appendArray[T any](b []byte, list []T) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = Append(b, v)
	}
	return append(b, ']')
}

func appendDouble(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...) // JSON has no such number
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', 15, 64)
	if !bytes.ContainsAny(b[from:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

const hex = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, `\ufffd`...)
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

func appendASCII(b []byte, c byte) []byte {
	switch c {
	case '"', '\\', '/':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if c < 0x20 || c == 0x7f {
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
	}
	return append(b, c)
}
