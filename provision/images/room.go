package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// room is where things can be put on a machine.
type room struct {
	dir            string // for uploads
	part           int64  // bytes of the file that are there already
	upload, docker volume
}

// volume is a file system.
type volume struct {
	free  int64 // bytes that users may take
	mount string
}

// uploadDir is a folder of the SSH user's own; the shell fills in the number.
const uploadDir = "/var/tmp/lab-images-$(id -u)"

// roomScript makes the folder and looks how much of a file is there already,
// and how much room there and where Docker keeps its data. -O: a folder that
// somebody else has put there is not ours.
const roomScript = `d=` + uploadDir + `; umask 077; mkdir -p "$d" && [ -O "$d" ] || { echo "cannot use $d" >&2; exit 1; }
echo "$d"; f="$d"/%s; if [ -f "$f" ]; then wc -c <"$f"; else echo 0; fi; df -Pk "$d" && { df -Pk %s 2>/dev/null || df -Pk /; }`

// needs is disk space in bytes.
type needs struct {
	file           string // name in the upload folder, or ""
	upload, docker int64  // for the file, of which a part may be there; for Docker
	what           string // for whom, for people
}

// room looks whether there is room. The error id is disk-full.
func (m Machine) room(ctx context.Context, n needs) (room, error) {
	info, err := m.Docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return room{}, fmt.Errorf("%s: ask Docker for its folder: %w", m.Name, err)
	}
	root := info.Info.DockerRootDir
	if !strings.HasPrefix(root, "/") {
		root = "/var/lib/docker"
	}
	out, err := m.Host.Run(ctx, fmt.Sprintf(roomScript, quote(cmp.Or(n.file, "none")), quote(root)), nil)
	if err != nil {
		return room{}, fmt.Errorf("%s: look for free disk space: %w", m.Name, err)
	}
	r, err := parseRoom(string(out))
	if err != nil {
		return room{}, fmt.Errorf("%s: look for free disk space: %w", m.Name, err)
	}
	upload := max(0, n.upload-r.part)
	docker := n.docker
	if r.upload.mount == r.docker.mount {
		docker += upload
	}
	if r.docker.free < docker {
		return room{}, diskFull(m.Name, root, n.what, r.docker.free, docker)
	}
	if r.upload.free < upload {
		return room{}, diskFull(m.Name, r.dir, n.what, r.upload.free, upload)
	}
	return r, nil
}

func diskFull(machine, where, what string, free, needed int64) error {
	return &lab.Error{ID: "disk-full", Op: "make room for " + what, Machine: machine,
		Err:    fmt.Errorf("%s free in %s, about %s needed", megabytes(free), where, megabytes(needed)),
		Advice: "make room there (lab ssh " + machine + " sudo docker system prune), or make machines with a larger disk: machine: {disk: 20GiB} in lab.yaml"}
}

// full explains an error by a full disk, where it is one: SFTP has no word for
// that.
func (m Machine) full(ctx context.Context, cause error) error {
	var e *lab.Error
	const least = 1 << 20
	if _, err := m.room(ctx, needs{upload: least, docker: least, what: "images"}); errors.As(err, &e) && e.ID == "disk-full" {
		e.Err = fmt.Errorf("%w: %w", e.Err, cause)
		return e
	}
	if strings.Contains(cause.Error(), "no space left on device") {
		return &lab.Error{ID: "disk-full", Op: "load images", Machine: m.Name, Err: cause,
			Advice: "make room on the machine, or make machines with a larger disk: machine: {disk: 20GiB} in lab.yaml"}
	}
	return nil
}

// dfLine is a line of df -Pk: size, used, available, capacity, mount point.
var dfLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\s(\d+)\s+(-|\d+)\s+(-?\d+)\s+(-|\d+%)\s+(/.*)$`) })

func parseRoom(out string) (room, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) < 6 {
		return room{}, fmt.Errorf("df says %q", out)
	}
	part, err := strconv.ParseInt(strings.TrimSpace(lines[1]), 10, 64)
	if err != nil {
		return room{}, fmt.Errorf("the machine says %q", out)
	}
	var found []volume
	for _, line := range lines[2:] {
		if f := dfLine().FindStringSubmatch(line); f != nil {
			kib, err := strconv.ParseInt(f[3], 10, 64)
			if err != nil || kib > 1<<50 {
				return room{}, fmt.Errorf("df says %q", line)
			}
			found = append(found, volume{free: max(0, kib) << 10, mount: f[5]})
		}
	}
	if len(found) != 2 || !strings.HasPrefix(lines[0], "/var/tmp/lab-images-") || quote(lines[0]) != lines[0] {
		return room{}, fmt.Errorf("df says %q", out)
	}
	return room{dir: lines[0], part: part, upload: found[0], docker: found[1]}, nil
}

// quote writes a word for a POSIX shell.
func quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
