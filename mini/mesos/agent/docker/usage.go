package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// maxStats bounds what is read of an engine's answer with one measurement.
const maxStats = 1 << 20

// Usage implements Engine.
func (m *Moby) Usage(ctx context.Context, name string) (Usage, error) {
	api, err := m.client(ctx)
	if err != nil {
		return Usage{}, err
	}
	r, err := api.ContainerStats(ctx, name, client.ContainerStatsOptions{})
	if err != nil {
		return Usage{}, notFound(err)
	}
	defer r.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(io.LimitReader(r.Body, maxStats)).Decode(&s); err != nil {
		return Usage{}, fmt.Errorf("statistics of container %s: %w", name, err)
	}
	return usageOf(s), nil
}

// usageOf: resident memory is rss under cgroups v1, anon under v2; an engine
// that tells neither counts the page cache in, but for what is easily dropped.
func usageOf(s container.StatsResponse) Usage {
	cpu, mem := s.CPUStats.CPUUsage, s.MemoryStats
	u := Usage{User: time.Duration(cpu.UsageInUsermode), System: time.Duration(cpu.UsageInKernelmode)}
	rss, v1 := mem.Stats["rss"]
	anon, v2 := mem.Stats["anon"]
	switch {
	case v1:
		u.RSS = rss
	case v2:
		u.RSS = anon
	default:
		u.RSS = mem.Usage - min(mem.Usage, mem.Stats["inactive_file"])
	}
	return u
}
