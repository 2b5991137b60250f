package docker

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

func sortedLines(text string) string {
	all := strings.Split(text, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

var passing = regexp.MustCompile(`(Less than a second|About a minute|\d+ (seconds?|minutes?))`)

// still takes away what changes from one second to the next.
func still(text string) string {
	text = passing.ReplaceAllString(text, "a while")
	return regexp.MustCompile(`  +`).ReplaceAllString(text, "  ")
}

// TestLikeTheRealCommand compares outputs with those of the docker command of
// this computer, of the same engine.
func TestLikeTheRealCommand(t *testing.T) {
	program := labtest.NeedProgram(t, "docker")
	w := newWorld(t)
	w.ok("docker run -d --name web -p 127.0.0.1:0:80 -l b=2 -l a=1 -v /srv/x:/x nginx:1.10; docker run --name done lab/tool say a b; docker create --name fresh lab/tool say a very long command line")
	for _, args := range [][]string{
		{"ps"}, {"ps", "-a"}, {"ps", "-a", "-q"}, {"ps", "-a", "-q", "--no-trunc"}, {"ps", "-l"}, {"ps", "-n", "2"}, {"ps", "-a", "--no-trunc"}, {"ps", "-a", "-f", "status=exited"},
		{"ps", "-a", "--format", "{{.ID}}|{{.Names}}|{{.Image}}|{{.Command}}|{{.Status}}|{{.State}}|{{.Ports}}|{{.Labels}}|{{.Networks}}|{{.CreatedAt}}"},
		{"ps", "-a", "--format", "table {{.Names}}\t{{.Ports}}"}, {"ps", "--format", `{{upper .Names}}\t{{lower .Image}}`},
		{"images"}, {"images", "-q"}, {"images", "nginx"}, {"images", "--no-trunc"},
		{"inspect", "web"}, {"inspect", "web", "lab/tool"}, {"inspect", "-f", "{{json .Config.Labels}}", "web"}, {"inspect", "-f", "{{range .Mounts}}{{.Destination}}{{end}} {{join .Config.Cmd \",\"}}", "web"},
		{"logs", "done"}, {"logs", "-t", "done"}, {"logs", "--tail", "0", "done"}, {"port", "web"}, {"port", "web", "80"}, {"port", "web", "80/tcp"},
		{"network", "ls"}, {"volume", "ls"}, {"top", "web"}, {"wait", "done"},
		{"logs", "nosuch"}, {"rm", "nosuch"}, {"stop", "nosuch", "done"}, {"rm", "web"}, {"exec", "done", "x"}, {"top", "done"}, {"exec", "web", "fail"}, {"exec", "web", "say", "x y"},
	} {
		var quoted []string
		for _, a := range args {
			quoted = append(quoted, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
		}
		cmd := exec.CommandContext(t.Context(), program, append([]string{"-H", "unix://" + w.socket}, args...)...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "DOCKER_CLI_HINTS=false", "TZ=" + time.Local.String()}
		var wantOut, wantErr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &wantOut, &wantErr
		err := cmd.Run()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		out, errOut, exit := w.run("docker "+strings.Join(quoted, " "), "")
		got, want := still(out), still(wantOut.String())
		if args[0] == "images" { // the names of one image come in any order
			got, want = sortedLines(got), sortedLines(want)
		}
		if exit != cmd.ProcessState.ExitCode() || got != want || errOut != wantErr.String() {
			t.Errorf("docker %s\n got %s%sexit %d\nwant %s%sexit %d", strings.Join(args, " "), out, errOut, exit, wantOut.String(), wantErr.String(), cmd.ProcessState.ExitCode())
		}
	}
}
