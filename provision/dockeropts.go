package provision

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/mesoslab/lab"
)

var (
	tcpFlag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:-H|--host)(?:=|\s+|)\s*tcp://(\S+)`) })
	tlsFlag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|\s)--?tls(?:verify)?(?:$|[\s=])`) })
)

// DockerOpts returns the DOCKER_OPTS that a spec means: docker.opts as it
// stands where docker.tcp is open, with the TCP port bound to 127.0.0.1 where
// it is local, and without it where it is off.
func DockerOpts(d lab.DockerSpec) string {
	switch d.TCP {
	case "local":
		return tcpFlag().ReplaceAllStringFunc(d.Opts, func(flag string) string {
			addr := tcpFlag().FindStringSubmatch(flag)[1]
			host, port, _ := strings.Cut(addr, ":")
			if port != "" {
				port = ":" + port
			}
			return strings.Replace(flag, "tcp://"+host+port, "tcp://127.0.0.1"+port, 1)
		})
	case "off":
		return strings.Join(strings.Fields(tcpFlag().ReplaceAllString(d.Opts, "")), " ")
	}
	return d.Opts
}

// engineOpts adds what a real engine needs to start quickly: with a TCP port
// and no TLS it waits 16 s on purpose unless --tls=false says that this is
// meant (seen with Docker 20.10; moby#47556).
func engineOpts(opts string, e Engine) string {
	if e.Embedded || !tcpFlag().MatchString(opts) || tlsFlag().MatchString(opts) {
		return opts
	}
	if e.Number != "" && VersionLess(e.Number, "20.10") {
		return opts
	}
	return opts + " --tls=false"
}

// dropInPath is the only file of ours in systemd's folders.
const dropInPath = "/etc/systemd/system/docker.service.d/lab.conf"

// unitFile is one part of what "systemctl cat" shows.
type unitFile struct{ path, text string }

var unitHeader = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^# (/\S+)$`) })

// splitUnit takes the output of "systemctl cat" apart.
func splitUnit(text string) []unitFile {
	var files []unitFile
	heads := unitHeader().FindAllStringSubmatchIndex(text, -1)
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		files = append(files, unitFile{path: text[h[2]:h[3]], text: text[h[1]:end]})
	}
	return files
}

// dropIn returns the drop-in that makes a unit start dockerd with
// $DOCKER_OPTS of /etc/default/docker, or "" for a unit that does so by
// itself (Debian's docker.io). It keeps what the unit's own command line says
// otherwise: docker-ce's needs --containerd. Our own drop-in does not count.
func dropIn(files []unitFile) (string, error) {
	exec, readsFile := "", false
	for _, f := range files {
		if f.path == dropInPath {
			continue
		}
		for _, line := range unitLines(f.text) {
			key, value, _ := strings.Cut(line, "=")
			switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); {
			case key == "ExecStart":
				exec = value // systemd allows one; an empty one clears it
			case key == "EnvironmentFile" && value == "":
				readsFile = false
			case key == "EnvironmentFile" && strings.TrimPrefix(value, "-") == defaultsPath:
				readsFile = true
			}
		}
	}
	if exec == "" {
		return "", fmt.Errorf("docker.service has no ExecStart")
	}
	usesOpts := strings.Contains(exec, "$DOCKER_OPTS") || strings.Contains(exec, "${DOCKER_OPTS}")
	if readsFile && usesOpts {
		return "", nil
	}
	if !usesOpts {
		exec += " $DOCKER_OPTS"
	}
	return "# Made by lab: this unit does not read " + defaultsPath + " by itself.\n" +
		"[Service]\nEnvironmentFile=-" + defaultsPath + "\nExecStart=\nExecStart=" + exec + "\n", nil
}

// unitLines returns the settings of a unit file: comments gone, continued
// lines joined.
func unitLines(text string) []string {
	var out []string
	joined := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue // also within continued lines
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			joined += before + " "
			continue
		}
		out = append(out, strings.Join(strings.Fields(joined+line), " "))
		joined = ""
	}
	return out
}

// restartCommands restart Docker, or start it where it is stopped. They are
// root's, and are run one after the other, whatever their exit codes: a reset
// of an unknown unit and the stop of a stopped job fail and mean nothing. The
// last one's counts.
func restartCommands(init Init, reload bool) [][]string {
	switch init {
	case Systemd:
		var out [][]string
		if reload {
			out = append(out, []string{"systemctl", "daemon-reload"})
		}
		// A machine that boots again brings its containers back only if Docker
		// starts by itself. Without reset-failed the fourth restart within a
		// minute is refused and takes docker.socket down with it.
		return append(out,
			[]string{"systemctl", "--quiet", "--no-reload", "enable", "docker.service"},
			[]string{"systemctl", "reset-failed", "docker.service", "docker.socket"},
			[]string{"systemctl", "restart", "docker.service"})
	case Upstart:
		// "restart" of a stopped job is an error, and of a running one keeps
		// the environment that it was started with.
		return [][]string{
			{"initctl", "stop", "docker"},
			{"initctl", "start", "docker"},
		}
	}
	return [][]string{{"service", "docker", "restart"}}
}
