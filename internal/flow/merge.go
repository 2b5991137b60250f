package flow

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/mesoslab/lab"
)

// merge lays what was given (lab.yaml and flags) over what a lab was made
// with. A value that was not given stays as it is.
func merge(recorded, given lab.Spec) lab.Spec {
	out := recorded
	overlay(reflect.ValueOf(&out).Elem(), reflect.ValueOf(given))
	switch {
	case len(given.IPs) > 0:
		out.Subnet, out.Slaves = "", len(given.IPs)-1
	case given.Slaves > 0 && len(recorded.IPs) > 0 && given.Slaves < len(recorded.IPs):
		out.IPs = slices.Clone(recorded.IPs[:given.Slaves+1])
	case given.Subnet != "":
		out.IPs = nil
	}
	return out
}

// overlay copies every set field of given into out.
func overlay(out, given reflect.Value) {
	for i := range given.NumField() {
		from, to := given.Field(i), out.Field(i)
		switch {
		case from.Kind() == reflect.Struct:
			overlay(to, from)
		case !from.IsZero():
			to.Set(from)
		}
	}
}

// changeable refuses changes that an existing lab cannot take: its provider
// and the addresses of machines that stay.
func changeable(before, after lab.Spec, provider string) error {
	refuse := func(what, from, to string) error {
		return &lab.Error{
			ID: "spec-fixed", Op: "change lab " + before.Name,
			Err:    fmt.Errorf("%w: %s of an existing lab is %s and cannot become %s", lab.ErrUsage, what, from, to),
			Advice: "lab destroy --name " + before.Name + ", then create it anew; or give the new lab another --name",
		}
	}
	if after.Provider != "auto" && after.Provider != provider {
		return refuse("the provider", provider, after.Provider)
	}
	old, err := before.Nodes()
	if err != nil {
		return fmt.Errorf("read recorded spec: %w", err)
	}
	fresh, err := after.Nodes()
	if err != nil {
		return fmt.Errorf("%w: %w", lab.ErrUsage, err)
	}
	for i, n := range old {
		if i < len(fresh) && fresh[i].IP != n.IP {
			return refuse("the address of "+n.Name, n.IP.String(), fresh[i].IP.String())
		}
	}
	if before.Local.Network != after.Local.Network {
		return refuse("local.network", before.Local.Network, after.Local.Network)
	}
	if before.Ports != after.Ports {
		return refuse("the ports", fmt.Sprintf("%+v", before.Ports), fmt.Sprintf("%+v", after.Ports))
	}
	return nil
}
