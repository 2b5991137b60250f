package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mesoslab/lab/internal/labtest/dockerd"
)

// tests runs the tests with a Docker engine at hand, should one of them ask.
func tests(m *testing.M) testscript.TestingM { return withEngine{m} }

type withEngine struct{ m *testing.M }

func (w withEngine) Run() int { return dockerd.Main(w.m) }
