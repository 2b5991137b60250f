package images

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/mesoslab/lab"
)

// Findable says where Binary would take a static lab for an architecture from,
// without building anything; "" and the error mini-binary-missing if from
// nowhere. What a build would stumble over is not seen.
func (m *Maker) Findable(arch string) (string, error) {
	err := static(m.Executable, arch)
	if err == nil {
		return "this program", nil
	}
	tried := []error{err}
	beside := m.beside(arch)
	if err = errors.Join(static(beside, arch), isLab(beside)); err == nil {
		return beside, nil
	}
	tried = append(tried, first(err))
	dir, err := m.module()
	if err == nil {
		if _, err = exec.LookPath("go"); err == nil {
			return "a build of " + dir, nil
		}
		err = errors.New("the go command is not here")
	}
	return "", missingBinary(arch, append(tried, err))
}

// missingBinary is the error mini-binary-missing, with what was tried.
func missingBinary(arch string, tried []error) error {
	text := ""
	for _, err := range tried {
		text += "; " + err.Error()
	}
	return &lab.Error{
		ID: "mini-binary-missing", Op: "find a static lab for linux/" + arch, Err: errors.New(text[2:]),
		Advice: fmt.Sprintf("put the release's lab-linux-%s beside lab; or run lab from its sources with Go installed; "+
			"or bring the images along: lab images save FILE --stack mini on another computer, lab create --images FILE here", arch),
	}
}
