//go:build linux

package e2e

import (
	"os"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }
