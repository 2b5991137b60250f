//go:build unix

package machine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/pkg/sftp"

	"github.com/mesoslab/lab/local/shell"
)

// sftp serves the machine's disk.
func (x *session) sftp(ctx context.Context) int {
	h := sftpFiles{x.server.machine.files()}
	server := sftp.NewRequestServer(x.channel, sftp.Handlers{FileGet: h, FilePut: h, FileCmd: h, FileList: h}, sftp.WithStartDirectory(x.home()))
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		x.server.log.Debug("sftp", "error", err)
		return 1
	}
	return 0 // closing is left to finish, which says the exit status first
}

// sftpFiles are the four handlers of pkg/sftp. Paths of requests are absolute
// and clean.
type sftpFiles struct{ files shell.Files }

// Fileread implements sftp.FileReader.
func (h sftpFiles) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	f, err := h.files.Open(r.Filepath)
	if err != nil {
		return nil, plain(err)
	}
	return f, nil
}

// Filewrite implements sftp.FileWriter.
func (h sftpFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	f, err := h.OpenFile(r)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenFile implements sftp.OpenFileWriter.
func (h sftpFiles) OpenFile(r *sftp.Request) (sftp.WriterAtReaderAt, error) {
	p := r.Pflags()
	flags := os.O_WRONLY
	if p.Read {
		flags = os.O_RDWR
	}
	for _, f := range []struct {
		on   bool
		flag int
	}{{p.Creat, os.O_CREATE}, {p.Trunc, os.O_TRUNC}, {p.Excl, os.O_EXCL}} {
		if f.on {
			flags |= f.flag
		}
	}
	mode := fs.FileMode(0o644)
	// The library drops the attributes' flags of an open. Four bytes can only
	// be permissions, and are what OpenSSH sends.
	if len(r.Attrs) == 4 {
		mode = fs.FileMode(binary.BigEndian.Uint32(r.Attrs)).Perm()
	}
	f, err := h.files.OpenFile(r.Filepath, flags, mode)
	if err != nil {
		return nil, plain(err)
	}
	if !p.Append {
		return f, nil
	}
	return appending{f}, nil
}

// appending writes at the end, whatever offset is asked for: O_APPEND and
// WriteAt exclude each other.
type appending struct{ *os.File }

func (a appending) WriteAt(b []byte, _ int64) (int, error) {
	if _, err := a.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	return a.Write(b)
}

// Filecmd implements sftp.FileCmder.
func (h sftpFiles) Filecmd(r *sftp.Request) error {
	switch r.Method {
	case "Setstat":
		return plain(h.setstat(r))
	case "Rename":
		if _, err := h.files.Lstat(r.Target); err == nil {
			return os.ErrExist
		}
		return plain(h.files.Rename(r.Filepath, r.Target))
	case "Rmdir":
		if i, err := h.files.Lstat(r.Filepath); err == nil && !i.IsDir() {
			return errors.New("not a directory")
		}
		return plain(h.files.Remove(r.Filepath))
	case "Remove":
		if i, err := h.files.Lstat(r.Filepath); err == nil && i.IsDir() {
			return errors.New("is a directory")
		}
		return plain(h.files.Remove(r.Filepath))
	case "Mkdir":
		return plain(h.files.Mkdir(r.Filepath, 0o755))
	case "Link":
		return plain(h.files.Link(r.Filepath, r.Target))
	case "Symlink": // Filepath is the target, Target the new link
		return plain(h.files.Symlink(r.Filepath, r.Target))
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename implements sftp.PosixRenameFileCmder.
func (h sftpFiles) PosixRename(r *sftp.Request) error {
	return plain(h.files.Rename(r.Filepath, r.Target))
}

func (h sftpFiles) setstat(r *sftp.Request) error {
	flags, attrs := r.AttrFlags(), r.Attributes()
	if flags.Size {
		f, err := h.files.OpenFile(r.Filepath, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(int64(attrs.Size)), f.Close()); err != nil {
			return err
		}
	}
	if flags.Permissions {
		if err := h.files.Chmod(r.Filepath, attrs.FileMode().Perm()); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return h.files.Chtimes(r.Filepath, attrs.AccessTime(), attrs.ModTime())
	}
	// Owners are accepted and forgotten: every file here has one.
	_, err := h.files.Lstat(r.Filepath)
	return err
}

// Filelist implements sftp.FileLister.
func (h sftpFiles) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	switch r.Method {
	case "List":
		entries, err := h.files.ReadDir(r.Filepath)
		if err != nil {
			return nil, plain(err)
		}
		var infos infoList
		for _, e := range entries {
			if i, err := h.files.Lstat(path.Join(r.Filepath, e.Name())); err == nil { // else gone meanwhile
				infos = append(infos, i)
			}
		}
		return infos, nil
	case "Stat":
		i, err := h.files.Stat(r.Filepath)
		if err != nil {
			return nil, plain(err)
		}
		return infoList{i}, nil
	}
	return nil, sftp.ErrSSHFxOpUnsupported
}

// Lstat implements sftp.LstatFileLister.
func (h sftpFiles) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	i, err := h.files.Lstat(r.Filepath)
	if err != nil {
		return nil, plain(err)
	}
	return infoList{i}, nil
}

// Readlink implements sftp.ReadlinkFileLister.
func (h sftpFiles) Readlink(p string) (string, error) {
	target, err := h.files.Readlink(p)
	return target, plain(err)
}

type infoList []fs.FileInfo

// ListAt implements sftp.ListerAt.
func (l infoList) ListAt(out []fs.FileInfo, offset int64) (int, error) {
	if offset >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(out, l[offset:])
	if n < len(out) {
		return n, io.EOF
	}
	return n, nil
}

// plain is the error as SFTP knows it: its status codes come from these.
func plain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return os.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		return os.ErrPermission
	case errors.Is(err, fs.ErrExist):
		return os.ErrExist
	}
	return err
}
