//go:build !linux

package haproxy

import (
	"context"
	"errors"
)

func takeFew() error { return errors.ErrUnsupported }

func serveWithFew(context.Context, *HAProxy, string) {}
