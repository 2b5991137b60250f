package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// ParseResources reads "cpus:4;mem(web):1024;ports:[31000-32000];disks:{a,b}",
// or the same as a JSON array of Resource messages. Every resource carries its
// role, the default one if none is written. Scalars must not be negative, ranges
// not be empty or backwards; the same name, role and type twice is an error.
// Units: cpus are cores, mem and disk MiB.
func ParseResources(s, defaultRole string) ([]mesos.Resource, error) {
	if strings.HasPrefix(strings.TrimSpace(s), "[") {
		return resourcesFromJSON([]byte(s), defaultRole)
	}
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		return nil, errors.New("invalid resources: want an array of JSON objects, or name:value;name:value")
	}
	var out []mesos.Resource
	for _, part := range strings.Split(s, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		r, err := parseResource(part, defaultRole)
		if err != nil {
			return nil, fmt.Errorf("invalid resource %q: %w", part, err)
		}
		if given(out, r) {
			return nil, fmt.Errorf("invalid resource %q: %s is given twice", part, r.Name)
		}
		out = append(out, r)
	}
	return out, nil
}

// given says whether there is one of the same name and role already.
func given(list []mesos.Resource, r mesos.Resource) bool {
	return slices.ContainsFunc(list, func(o mesos.Resource) bool { return o.Name == r.Name && o.GetRole() == r.GetRole() })
}

// resourcesFromJSON takes name, type, role and the value; what reserves or
// stores (reservations, disk sources) is refused, since nothing here would act on it.
func resourcesFromJSON(data []byte, defaultRole string) ([]mesos.Resource, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("invalid resources: %w", err)
	}
	var out []mesos.Resource
	for i, b := range raw {
		var r mesos.Resource
		err := mjson.Decode(b, &r)
		if err == nil {
			r, err = checked(r, defaultRole)
		}
		if err == nil && given(out, r) {
			err = fmt.Errorf("%s is given twice", r.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("invalid resource %d of the array: %w", i, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// checked says what is wrong with a resource that came as JSON, by reading what
// it would be as text.
func checked(r mesos.Resource, defaultRole string) (mesos.Resource, error) {
	role := defaultRole
	if r.Role != nil && *r.Role != "" { // GetRole says "*" where there is none
		role = *r.Role
	}
	if len(r.Reservations) > 0 || r.Reservation != nil || r.Disk != nil || r.Revocable != nil || r.Shared != nil || r.ProviderID != nil {
		return r, errors.New("only name, type, role and a value are understood")
	}
	for _, word := range append([]string{r.Name, role}, r.GetSet().GetItem()...) {
		if strings.ContainsAny(word, ":;,(){}[]") {
			return r, fmt.Errorf("%q has one of :;,(){}[] in it", word)
		}
	}
	value := ""
	switch r.GetType() {
	case mesos.SCALAR:
		value = strconv.FormatFloat(r.GetScalar().GetValue(), 'f', -1, 64)
	case mesos.RANGES:
		var parts []string
		for _, x := range r.GetRanges().GetRange() {
			parts = append(parts, strconv.FormatUint(x.Begin, 10)+"-"+strconv.FormatUint(x.End, 10))
		}
		value = "[" + strings.Join(parts, ",") + "]"
	case mesos.SET:
		value = "{" + strings.Join(r.GetSet().GetItem(), ",") + "}"
	default:
		return r, fmt.Errorf("type %s: want SCALAR, RANGES or SET", r.GetType())
	}
	return parseResource(r.Name+"("+role+"):"+value, defaultRole)
}

func parseResource(part, role string) (mesos.Resource, error) {
	name, text, ok := strings.Cut(part, ":")
	if !ok {
		return mesos.Resource{}, errors.New("want name:value")
	}
	if n, rest, ok := strings.Cut(name, "("); ok {
		rest, closed := strings.CutSuffix(strings.TrimSpace(rest), ")")
		if !closed || strings.TrimSpace(rest) == "" {
			return mesos.Resource{}, errors.New("want name(role):value")
		}
		name, role = n, strings.TrimSpace(rest)
	}
	if name = strings.TrimSpace(name); name == "" {
		return mesos.Resource{}, errors.New("it has no name")
	}
	r := mesos.Resource{Name: name, Role: &role}
	v, err := parseValue(text)
	if err != nil {
		return r, err
	}
	switch v.GetType() {
	case mesos.SCALAR:
		if v.Scalar.Value < 0 {
			return r, errors.New("it is negative")
		}
	case mesos.TEXT:
		return r, errors.New("want a number, [ranges] or {a,set}")
	}
	r.Type, r.Scalar, r.Ranges, r.Set = v.Type.Enum(), v.Scalar, v.Ranges, v.Set
	return r, nil
}

// ParseAttributes reads "rack:r1;level:10;zones:{a,b}". A number becomes a
// scalar, everything that is neither scalar, ranges nor set a text.
func ParseAttributes(s string) ([]mesos.Attribute, error) {
	var out []mesos.Attribute
	for _, part := range strings.Split(s, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, text, ok := strings.Cut(part, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("invalid attribute %q: want name:value", part)
		}
		v, err := parseValue(text)
		if err != nil {
			return nil, fmt.Errorf("invalid attribute %q: %w", part, err)
		}
		out = append(out, mesos.Attribute{Name: name, Type: v.GetType(),
			Scalar: v.Scalar, Ranges: v.Ranges, Set: v.Set, Text: v.Text})
	}
	return out, nil
}

func parseValue(text string) (mesos.Value, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return mesos.Value{}, errors.New("it has no value")
	case text[0] == '[':
		ranges, err := parseRanges(text)
		return mesos.Value{Type: mesos.RANGES, Ranges: ranges}, err
	case text[0] == '{':
		set, err := parseSet(text)
		return mesos.Value{Type: mesos.SET, Set: set}, err
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return mesos.Value{}, errors.New("it is not a finite number")
		}
		// Mesos counts in thousandths.
		f = math.Round(f*1000) / 1000
		if math.IsInf(f, 0) {
			return mesos.Value{}, errors.New("it is too large")
		}
		return mesos.Value{Type: mesos.SCALAR, Scalar: &mesos.Value_Scalar{Value: f}}, nil
	}
	return mesos.Value{Type: mesos.TEXT, Text: &mesos.Value_Text{Value: text}}, nil
}

func parseRanges(text string) (*mesos.Value_Ranges, error) {
	inner, ok := strings.CutSuffix(text[1:], "]")
	if !ok {
		return nil, errors.New("want [begin-end, begin-end]")
	}
	var out mesos.Value_Ranges
	for _, part := range strings.Split(inner, ",") {
		begin, end, ok := strings.Cut(part, "-")
		b, errB := strconv.ParseUint(strings.TrimSpace(begin), 10, 64)
		e, errE := strconv.ParseUint(strings.TrimSpace(end), 10, 64)
		if !ok || errB != nil || errE != nil || b > e {
			return nil, fmt.Errorf("want begin-end, not %q", strings.TrimSpace(part))
		}
		out.Range = append(out.Range, mesos.Value_Range{Begin: b, End: e})
	}
	return &out, nil
}

func parseSet(text string) (*mesos.Value_Set, error) {
	inner, ok := strings.CutSuffix(text[1:], "}")
	if !ok {
		return nil, errors.New("want {item,item}")
	}
	var out mesos.Value_Set
	for _, part := range strings.Split(inner, ",") {
		if part = strings.TrimSpace(part); part == "" {
			return nil, errors.New("an item of the set is empty")
		}
		if !slices.Contains(out.Item, part) {
			out.Item = append(out.Item, part)
		}
	}
	return &out, nil
}
