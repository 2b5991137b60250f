package master

import (
	"context"
	"errors"
	"sync"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// errLostLeadership is why a leading master ends.
var errLostLeadership = errors.New("lost leadership... committing suicide")

// reign is the time in which this master leads.
type reign struct{ cluster *cluster.Cluster }

// elect takes part in the election until ctx ends, or until this master has
// led and does so no more.
func (m *master) elect(ctx context.Context, wg *sync.WaitGroup) error {
	var group election.Group = election.Fixed(m.info)
	switch {
	case m.group != nil:
		group = m.group
	case m.cfg.ZK != "":
		z, err := election.Open(ctx, m.cfg.ZK, election.Options{
			Dial: m.env.Dial, SessionTimeout: m.cfg.ZKSessionTimeout, Logf: m.log.printf,
		})
		if err != nil {
			return err
		}
		group = z
		wg.Go(z.Wait)
	}
	return m.contend(ctx, group, wg)
}

func (m *master) contend(ctx context.Context, group election.Group, wg *sync.WaitGroup) error {
	gone := make(chan struct{}) // closed when a candidacy is lost while leading
	failed := make(chan error, 1)
	wg.Go(func() {
		for ctx.Err() == nil {
			lost, err := group.Contend(ctx, m.info)
			if err != nil {
				return
			}
			m.log.printf("entered the election")
			select {
			case <-lost:
			case <-ctx.Done():
				return
			}
			m.log.printf("candidacy lost")
			if m.leading() != nil {
				close(gone)
				return
			}
		}
	})
	changes := make(chan election.Master)
	wg.Go(func() { m.detect(ctx, group, changes) })
	for {
		select {
		case <-gone:
			return errLostLeadership
		case err := <-failed:
			return err
		case leader := <-changes:
			if err := m.follow(ctx, leader, wg, failed); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *master) detect(ctx context.Context, group election.Group, changes chan<- election.Master) {
	var leader election.Master
	for {
		var err error
		if leader, err = group.Detect(ctx, leader); err != nil {
			return
		}
		select {
		case changes <- leader:
		case <-ctx.Done():
			return
		}
	}
}

// follow takes note of a new leader; it may be this master. The cluster that it
// then leads may end by itself: failed is told why.
func (m *master) follow(ctx context.Context, leader election.Master, wg *sync.WaitGroup, failed chan<- error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil
	}
	m.leader = leader
	switch {
	case leader == m.info && m.reign == nil:
		m.log.printf("elected as the leading master")
		c, err := cluster.New(m.clusterOptions())
		if err != nil {
			return err
		}
		m.reign = &reign{cluster: c}
		wg.Go(func() {
			if err := c.Run(ctx); err != nil {
				failed <- err
			}
		})
	case leader != m.info && m.reign != nil:
		return errLostLeadership
	case leader.PID == "":
		m.log.printf("no master leads")
	case leader != m.info:
		m.log.printf("the leading master is %s (%s)", leader.PID, leader.ID)
	}
	return nil
}

// leading returns the reign if this master leads, else nil.
func (m *master) leading() *reign {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reign
}

func (m *master) clusterOptions() cluster.Options {
	o := cluster.Options{
		Master: masterInfo(m.info), Compat: cluster.V13,
		PingTimeout: m.cfg.PingTimeout, MaxPings: m.cfg.MaxPings, ReregisterTimeout: m.cfg.ReregisterTimeout,
		AllocationInterval: m.cfg.AllocationInterval, OfferTimeout: m.cfg.OfferTimeout,
		Weights: m.cfg.Weights, Roles: m.cfg.Roles,
		MaxCompletedFrameworks: m.cfg.MaxCompletedFrameworks, MaxCompletedTasks: m.cfg.MaxCompletedTasks,
		MaxUnreachableTasks: m.cfg.MaxUnreachableTasks,
		Logf:                m.log.printf, Audit: m.audit,
	}
	if m.cfg.Old {
		o.Compat = cluster.V026
	}
	o.Registry, o.StoreTimeout = m.keeper, m.cfg.StoreTimeout
	if o.Registry == nil && m.cfg.WorkDir != "" {
		o.Registry = registryFile(m.env.Path(m.cfg.WorkDir))
	}
	return o
}

func masterInfo(i election.Master) mesos.MasterInfo {
	port := uint32(i.Port)
	return mesos.MasterInfo{
		ID: i.ID, IP: i.IP, Port: &port, PID: &i.PID, Hostname: &i.Hostname, Version: &i.Version,
		Address: &mesos.Address{Hostname: &i.Address.Hostname, IP: &i.Address.IP, Port: int32(i.Address.Port)},
	}
}
