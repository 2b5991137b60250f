package engine

import (
	"context"
	"net/http"
)

// Engine is one machine's engine.
type Engine struct {
	cfg Config
	ctx context.Context
}

// New loads the containers of an earlier life from cfg.Dir; all are stopped.
// ctx is the engine's life: see the package doc.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, ctx: ctx}, nil
}

// Boot starts the containers whose restart policy says so.
func (e *Engine) Boot(ctx context.Context) error { return nil }

// Handler serves the API.
func (e *Engine) Handler() http.Handler { return http.NotFoundHandler() }

// Close stops all containers like dockerd on SIGTERM.
func (e *Engine) Close(ctx context.Context) error { return nil }
