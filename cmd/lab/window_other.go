//go:build !unix

package main

import "context"

// followWindow does nothing: this system tells nobody when a window changes.
func followWindow(context.Context, func()) {}
