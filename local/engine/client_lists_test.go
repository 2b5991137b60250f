package engine

import (
	"slices"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

func TestClientLists(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		for _, x := range []struct{ name, image, cmd string }{{"up1", "lab/tool", "wait"}, {"up2", "nginx:1.10", "wait"}, {"done", "lab/tool", "exit 3"}} {
			id := mustCreate(t, c, x.name, x.image, nil, strings.Fields(x.cmd)...)
			mustStart(t, c, id)
			if x.name == "done" {
				exitOf(t, c, id)
			}
		}
		mustCreate(t, c, "new", "lab/tool", nil)
		for _, x := range []struct {
			filter string
			all    bool
			want   string
		}{
			{"", false, "up2 up1"},
			{"", true, "new done up2 up1"},
			{"name=up", true, "up2 up1"},
			{"name=^up1$", true, "up1"},
			{"label=test=done", true, "done"},
			{"label=kind", true, "new done up1"},
			{"status=exited", false, "done"},
			{"status=created", false, "new"},
			{"exited=3", false, "done"},
			{"exited=0", false, ""},
			{"ancestor=nginx", true, "up2"},
			{"ancestor=lab/tool", true, "new done up1"},
			{"before=done", true, "up2 up1"},
			{"since=done", true, "new"},
			{"network=host", true, ""},
			{"expose=80", true, "up2"},
		} {
			f := client.Filters{}
			if k, v, ok := strings.Cut(x.filter, "="); ok {
				f = f.Add(k, v)
			}
			r, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: x.all, Filters: f})
			if err != nil {
				t.Errorf("%s: %v", x.filter, err)
				continue
			}
			var got []string
			for _, s := range r.Items {
				got = append(got, strings.TrimPrefix(s.Names[0], "/"))
			}
			if strings.Join(got, " ") != x.want {
				t.Errorf("list with %q, all %v: %v, want %s", x.filter, x.all, got, x.want)
			}
		}
		if _, err := c.ContainerList(t.Context(), client.ContainerListOptions{Filters: client.Filters{}.Add("nonsense", "1")}); !cerrdefs.IsInvalidArgument(err) {
			t.Errorf("unknown filter: %v", err)
		}
	})
}

func TestClientImagesNetworksVolumesSystem(t *testing.T) {
	each(t, func(t *testing.T, b *bench, c *client.Client) {
		ctx := t.Context()
		p, err := c.Ping(ctx, client.PingOptions{})
		if err != nil || p.APIVersion != APIVersion {
			t.Errorf("ping: %+v %v", p, err)
		}
		info, err := c.Info(ctx, client.InfoOptions{})
		if err != nil || info.Info.Name != "node1" || info.Info.NCPU != 2 || info.Info.MemTotal != 1<<30 {
			t.Errorf("info: %+v %v", info, err)
		}
		v, err := c.ServerVersion(ctx, client.ServerVersionOptions{})
		if err != nil || v.Version != "1.2.3" || v.APIVersion != APIVersion || v.MinAPIVersion != MinAPIVersion {
			t.Errorf("version: %+v %v", v, err)
		}
		pull, err := c.ImagePull(ctx, "docker.io/library/nginx:1.10", client.ImagePullOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := pull.Wait(ctx); err != nil {
			t.Error(err)
		}
		if _, err := c.ImagePull(ctx, "busybox", client.ImagePullOptions{}); !cerrdefs.IsNotFound(err) {
			t.Errorf("pull of a foreign image: %v", err)
		}
		images, err := c.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", "nginx")})
		if err != nil || len(images.Items) != 1 || !slices.Equal(images.Items[0].RepoTags, []string{"nginx:latest", "nginx:1.10"}) {
			t.Errorf("images: %+v %v", images, err)
		}
		i, err := c.ImageInspect(ctx, "nginx:1.10")
		if err != nil || i.ID != images.Items[0].ID || len(i.Config.ExposedPorts) != 1 {
			t.Errorf("image: %+v %v", i, err)
		}
		if _, err := c.ImageInspect(ctx, i.ID); err != nil {
			t.Errorf("image by id: %v", err)
		}
		if _, err := c.ImageRemove(ctx, "lab/web", client.ImageRemoveOptions{}); !cerrdefs.IsConflict(err) {
			t.Errorf("remove of a catalogue image: %v", err)
		}
		nets, err := c.NetworkList(ctx, client.NetworkListOptions{})
		if err != nil || len(nets.Items) != 3 {
			t.Errorf("networks: %+v %v", nets, err)
		}
		if _, err := c.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "data"}); err != nil {
			t.Error(err)
		}
		vols, err := c.VolumeList(ctx, client.VolumeListOptions{})
		if err != nil || len(vols.Items) != 1 || vols.Items[0].Mountpoint != "/var/lib/docker/volumes/data/_data" {
			t.Errorf("volumes: %+v %v", vols, err)
		}
		if _, err := c.DiskUsage(ctx, client.DiskUsageOptions{Containers: true, Images: true, Volumes: true}); err != nil {
			t.Error(err)
		}
		if _, err := c.SwarmInspect(ctx, client.SwarmInspectOptions{}); !cerrdefs.IsUnavailable(err) {
			t.Errorf("swarm: %v", err)
		}
	})
}
