//go:build !unix

package local

import (
	"context"
	"errors"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// Provider makes no machines on this system.
type Provider struct{}

var (
	_ lab.Provider = (*Provider)(nil)
	_ lab.Checker  = (*Provider)(nil)
)

// New returns a Provider that refuses.
func New(Options) *Provider { return &Provider{} }

func refuse() error {
	return &lab.Error{ID: "system-unsupported", Op: "make machines", Err: errors.New("embedded machines need Linux or macOS"), Advice: "use provider vagrant"}
}

// Features implements lab.Provider.
func (*Provider) Features() lab.Features { return lab.Features{Name: "local"} }

// Check implements lab.Checker.
func (*Provider) Check(context.Context, lab.Plan, lab.Depth) []lab.Finding {
	return []lab.Finding{computer.Failure("system-unsupported", refuse())}
}

// Up implements lab.Provider.
func (*Provider) Up(context.Context, lab.Plan) ([]lab.Machine, error) { return nil, refuse() }

// Status implements lab.Provider.
func (*Provider) Status(context.Context, lab.Plan) ([]lab.MachineStatus, error) { return nil, refuse() }

// Power implements lab.Provider.
func (*Provider) Power(context.Context, lab.Plan, []string, lab.Power) error { return refuse() }

// Destroy implements lab.Provider.
func (*Provider) Destroy(context.Context, lab.Plan) error { return refuse() }
