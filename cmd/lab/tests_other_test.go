//go:build !linux

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func tests(m *testing.M) testscript.TestingM { return m }
