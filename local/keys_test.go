//go:build unix

package local

import (
	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/local/machine"
)

func newTestKey() ([]byte, ssh.Signer, error) { return machine.NewKey("stranger") }
