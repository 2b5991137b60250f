package docker

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"
)

func listings() map[string]subcommand {
	return map[string]subcommand{
		"ps": {
			usage: "[OPTIONS]", about: "list containers", flags: func(f *pflag.FlagSet) {
				f.BoolP("all", "a", false, "also those that do not run")
				f.BoolP("quiet", "q", false, "ids only")
				f.Bool("no-trunc", false, "nothing shortened")
				f.BoolP("latest", "l", false, "the latest one")
				f.BoolP("size", "s", false, "sizes, too")
				f.IntP("last", "n", -1, "the latest n")
				f.StringArrayP("filter", "f", nil, "only those with KEY=VALUE")
				f.String("format", "", "table, json or a template")
			}, do: ps,
		},
		"images": {
			usage: "[OPTIONS] [REPOSITORY[:TAG]]", about: "list images", most: 1, flags: func(f *pflag.FlagSet) {
				f.BoolP("quiet", "q", false, "ids only")
				f.BoolP("all", "a", false, "")
				f.Bool("no-trunc", false, "nothing shortened")
				f.StringArrayP("filter", "f", nil, "only those with KEY=VALUE")
				f.String("format", "", "table, json or a template")
			}, do: images,
		},
		"network": {usage: "ls", about: "list networks", least: 1, most: -1, do: networks},
		"volume":  {usage: "ls", about: "list volumes", least: 1, most: -1, do: volumes},
	}
}

func filters(f *pflag.FlagSet) (client.Filters, error) {
	out := client.Filters{}
	pairs, err := f.GetStringArray("filter")
	if err != nil {
		return nil, err
	}
	for _, pair := range pairs {
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usage("invalid argument %q for \"-f, --filter\" flag: bad format of filter (expected name=value)", pair)
		}
		out.Add(strings.TrimSpace(k), strings.TrimSpace(v))
	}
	return out, nil
}

// on tells a flag that is there and is set; text its value.
func (c *call) on(name string) bool {
	v, err := c.f.GetBool(name)
	return err == nil && v
}

func (c *call) text(name string) string {
	v, err := c.f.GetString(name)
	if err != nil {
		return ""
	}
	return v
}

func (c *call) number(name string) int {
	v, err := c.f.GetInt(name)
	if err != nil {
		return 0
	}
	return v
}

func ps(ctx context.Context, c *call) error {
	fs, err := filters(c.f)
	if err != nil {
		return err
	}
	o := client.ContainerListOptions{All: c.on("all"), Limit: c.number("last"), Filters: fs, Size: c.on("size")}
	if c.on("latest") {
		o.Limit = 1
	}
	if o.Limit < 0 {
		o.Limit = 0
	}
	list, err := c.api.ContainerList(ctx, o)
	if err != nil {
		return err
	}
	full := c.on("no-trunc")
	var out []map[string]string
	for _, x := range list.Items {
		if c.on("quiet") {
			fmt.Fprintln(c.Stdout, idOf(x.ID, full))
			continue
		}
		out = append(out, containerRow(x, full))
	}
	if c.on("quiet") {
		return nil
	}
	return rows(c.Stdout, c.text("format"), []string{"ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"}, map[string]string{
		"ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED", "Status": "STATUS",
		"State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Labels": "LABELS", "Mounts": "MOUNTS", "Networks": "NETWORKS", "Size": "SIZE",
	}, out)
}

func idOf(id string, full bool) string {
	if full {
		return id
	}
	return short(id)
}

func containerRow(x container.Summary, full bool) map[string]string {
	command := x.Command
	if !full {
		command = clip(command, 20)
	}
	created := time.Unix(x.Created, 0)
	var names, labels, mounts, networks []string
	for _, n := range x.Names {
		names = append(names, strings.TrimPrefix(n, "/"))
	}
	for k, v := range x.Labels {
		labels = append(labels, k+"="+v)
	}
	sort.Strings(labels)
	for _, m := range x.Mounts {
		mounts = append(mounts, m.Source)
	}
	if x.NetworkSettings != nil {
		for n := range x.NetworkSettings.Networks {
			networks = append(networks, n)
		}
	}
	return map[string]string{
		"ID": idOf(x.ID, full), "Image": x.Image, "Command": `"` + command + `"`, "CreatedAt": created.Format("2006-01-02 15:04:05 -0700 MST"),
		"RunningFor": ago(created), "Status": x.Status, "State": string(x.State), "Ports": portsOf(x.Ports),
		"Names": strings.Join(names, ","), "Labels": strings.Join(labels, ","), "Mounts": strings.Join(mounts, ","),
		"Networks": strings.Join(networks, ","), "Size": size(x.SizeRw),
	}
}

// portsOf lists published ports, then those that are only exposed.
func portsOf(ports []container.PortSummary) string {
	slices.SortFunc(ports, func(a, b container.PortSummary) int {
		return int(a.PrivatePort)*1e5 + int(a.PublicPort) - int(b.PrivatePort)*1e5 - int(b.PublicPort)
	})
	var out []string
	for _, p := range ports {
		text := fmt.Sprintf("%d/%s", p.PrivatePort, p.Type)
		if p.PublicPort != 0 {
			text = fmt.Sprintf("%s:%d->%s", p.IP, p.PublicPort, text)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func images(ctx context.Context, c *call) error {
	fs, err := filters(c.f)
	if err != nil {
		return err
	}
	if len(c.args) > 0 {
		fs.Add("reference", c.args[0])
	}
	list, err := c.api.ImageList(ctx, client.ImageListOptions{All: c.on("all"), Filters: fs})
	if err != nil {
		return err
	}
	full := c.on("no-trunc")
	var out []map[string]string
	for _, x := range list.Items {
		id := x.ID
		if !full {
			id = short(id)
		}
		tags := x.RepoTags
		if len(tags) == 0 {
			tags = []string{"<none>:<none>"}
		}
		for _, tag := range tags {
			if c.on("quiet") {
				fmt.Fprintln(c.Stdout, id)
				continue
			}
			i := strings.LastIndexByte(tag, ':')
			row := map[string]string{"ID": id, "Repository": tag[:max(i, 0)], "Tag": tag[i+1:], "CreatedSince": "N/A", "CreatedAt": "N/A", "Size": size(x.Size)}
			if x.Created > 0 {
				created := time.Unix(x.Created, 0)
				row["CreatedSince"], row["CreatedAt"] = ago(created), created.Format("2006-01-02 15:04:05 -0700 MST")
			}
			out = append(out, row)
		}
	}
	if c.on("quiet") {
		return nil
	}
	return rows(c.Stdout, c.text("format"), []string{"Repository", "Tag", "ID", "CreatedSince", "Size"}, map[string]string{
		"ID": "IMAGE ID", "Repository": "REPOSITORY", "Tag": "TAG", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "Size": "SIZE",
	}, out)
}

func networks(ctx context.Context, c *call) error {
	if c.args[0] != "ls" && c.args[0] != "list" {
		return usage("docker network %s: this machine's engine has the networks bridge, host and none only", c.args[0])
	}
	list, err := c.api.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return err
	}
	var out []map[string]string
	for _, n := range list.Items {
		out = append(out, map[string]string{"ID": short(n.ID), "Name": n.Name, "Driver": n.Driver, "Scope": n.Scope})
	}
	return rows(c.Stdout, "", []string{"ID", "Name", "Driver", "Scope"}, map[string]string{"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}, out)
}

func volumes(ctx context.Context, c *call) error {
	if c.args[0] != "ls" && c.args[0] != "list" {
		return usage("docker volume %s is not known here: ls is", c.args[0])
	}
	list, err := c.api.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return err
	}
	var out []map[string]string
	for _, v := range list.Items {
		out = append(out, map[string]string{"Driver": v.Driver, "Name": v.Name})
	}
	return rows(c.Stdout, "", []string{"Driver", "Name"}, map[string]string{"Driver": "DRIVER", "Name": "VOLUME NAME"}, out)
}
