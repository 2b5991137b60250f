package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// plug brings a machine's card into the lab's network, with the machine's
// address.
func (p *Provider) plug(ctx context.Context, s site) error {
	card, err := p.inspect(ctx, s, s.cardName())
	if err != nil {
		return err
	}
	if card == nil {
		return errors.New("its network card is missing: lab create makes it")
	}
	if !card.State.Running {
		if _, err := p.engine.ContainerStart(ctx, card.ID, client.ContainerStartOptions{}); err != nil {
			return s.plugError(err)
		}
		if card, err = p.inspect(ctx, s, s.cardName()); err != nil || card == nil {
			return errors.Join(errors.New("its network card went away"), err)
		}
	}
	if s.hasAddress(card) {
		return nil
	}
	if card.NetworkSettings != nil && card.NetworkSettings.Networks[networkName(s.plan)] != nil {
		if err := p.unplug(ctx, s); err != nil { // started by a stranger's hand, with any address
			return err
		}
	}
	_, err = p.engine.NetworkConnect(ctx, networkName(s.plan), client.NetworkConnectOptions{Container: card.ID, EndpointConfig: s.endpointSettings()})
	return s.plugError(err)
}

func (s site) plugError(err error) error {
	if err == nil {
		return nil
	}
	return &lab.Error{ID: "card-failed", Op: "plug in network card", Machine: s.node.Name, Err: err,
		Advice: "see docker network inspect " + networkName(s.plan)}
}

// unplug takes it out. What the machine has open stays open; its packets find
// no way.
func (p *Provider) unplug(ctx context.Context, s site) error {
	_, err := p.engine.NetworkDisconnect(ctx, networkName(s.plan), client.NetworkDisconnectOptions{Container: s.cardName(), Force: true})
	if err == nil {
		return nil
	}
	card, lookErr := p.inspect(ctx, s, s.cardName())
	if lookErr == nil && card != nil && !s.hasAddress(card) {
		return nil // it was out already
	}
	return errors.Join(fmt.Errorf("unplug network card: %w", err), lookErr)
}

// pollEvery is the pause between two looks at something that comes soon.
const pollEvery = 50 * time.Millisecond
