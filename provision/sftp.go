package provision

import (
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// startSFTP speaks SFTP over a session that is open already, so that opening
// it can be given up.
func startSFTP(session *ssh.Session) (*sftp.Client, error) {
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.RequestSubsystem("sftp"); err != nil {
		return nil, err
	}
	return sftp.NewClientPipe(stdout, stdin, sftp.UseConcurrentWrites(true))
}
