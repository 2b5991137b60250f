package images

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// modulePath and program are what a lab binary says of itself.
const (
	modulePath = "github.com/mesoslab/lab"
	program    = modulePath + "/cmd/lab"
)

// machines are the ELF words for Go's architectures.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// goArch translates what uname and Docker call an architecture.
func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "i386", "i686":
		return "386"
	case "armv7l", "armv6l", "armhf":
		return "arm"
	}
	return machine
}

// static returns nil for an ELF program of this architecture that needs no
// other file to run: an image of lab's has no dynamic linker.
func static(file, arch string) error {
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("architecture %q is none of lab's", arch)
	}
	f, err := elf.Open(file)
	if err != nil {
		_, format := errors.AsType[*elf.FormatError](err)
		if format || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%s is no Linux program", file)
		}
		return err
	}
	defer f.Close()
	if f.Machine != want {
		return fmt.Errorf("%s is for %s", file, strings.TrimPrefix(f.Machine.String(), "EM_"))
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Errorf("%s is no program", file)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is dynamically linked", file)
		}
	}
	return nil
}

// isLab returns nil for the lab command, as its build information says.
func isLab(file string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if info.Path != program {
		return fmt.Errorf("%s is not lab but %q", file, info.Path)
	}
	return nil
}

// Binary finds a static lab for Linux on this architecture (as Go calls it):
// this program, if it is one; the file lab-linux-<arch> beside it; or one built
// from the module's sources, where they and the go command are at hand. say is
// told what is being done. The error id is mini-binary-missing.
func (m *Maker) Binary(ctx context.Context, arch string, say func(string)) (string, error) {
	err := static(m.Executable, arch)
	if err == nil {
		return m.Executable, nil
	}
	tried := []error{err}
	beside := m.beside(arch)
	if err = errors.Join(static(beside, arch), isLab(beside)); err == nil {
		return beside, nil
	}
	tried = append(tried, first(err))
	built, err := m.build(ctx, arch, say)
	if err == nil {
		return built, nil
	}
	if ctx.Err() != nil {
		return "", err
	}
	return "", missingBinary(arch, append(tried, err))
}

// beside is where a release puts the program for another architecture.
func (m *Maker) beside(arch string) string {
	exe := m.Executable
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	return filepath.Join(filepath.Dir(exe), "lab-linux-"+arch)
}

// first is the first of several joined errors.
func first(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()[0]
	}
	return err
}

// Architectures lists those for which lab's own images can be made, as Go calls
// them.
func Architectures() []string { return slices.Sorted(maps.Keys(machines)) }
