package images

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
)

// loaded opens a program as far as the kernel loads it, with its size in
// bytes. What lies behind the last segment (symbols, debugging information and
// the table of sections) is a third of what go build writes; the header says
// no more that it is there. A file of another shape stays whole.
// The field offsets are those of the ELF header (System V ABI, chapter 4).
func loaded(file string) (io.ReadCloser, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	r, size, err := cutSections(f)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%s: %w", file, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, size, nil
}

func cutSections(f *os.File) (io.Reader, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	whole := io.NewSectionReader(f, 0, info.Size())
	program, err := elf.NewFile(f)
	if _, foreign := errors.AsType[*elf.FormatError](err); foreign || errors.Is(err, io.EOF) {
		return whole, info.Size(), nil
	} else if err != nil {
		return nil, 0, err
	}
	end := uint64(0)
	for _, p := range program.Progs {
		end = max(end, p.Off+p.Filesz)
	}
	header := make([]byte, 64)
	if _, err := f.ReadAt(header, 0); err != nil {
		return nil, 0, err
	}
	// e_shoff, then e_shnum and e_shstrndx.
	offset, counts := header[0x28:0x30], header[0x3c:0x40]
	if program.Class == elf.ELFCLASS32 {
		header = header[:52]
		offset, counts = header[0x20:0x24], header[0x30:0x34]
	}
	if end > uint64(info.Size()) || end < uint64(len(header)) {
		return whole, info.Size(), nil
	}
	clear(offset)
	clear(counts)
	n := int64(len(header))
	return io.MultiReader(bytes.NewReader(header), io.NewSectionReader(f, n, int64(end)-n)), int64(end), nil
}
