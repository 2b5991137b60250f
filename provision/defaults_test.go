package provision

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const article = "-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock"

func TestSetDefault(t *testing.T) {
	const ours = `DOCKER_OPTS="` + article + `"` + "\n"
	debian := "# Docker defaults\n#DOCKER_OPTS=\"--dns 8.8.8.8\"\n\n# it's a comment with a quote\nexport http_proxy=\"http://127.0.0.1:3128/\"\n"
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", ours},
		{"Debian's, all commented", debian, debian + ours},
		{"no newline at the end", "A=1", "A=1\n" + ours},
		{"ours already", debian + ours, debian + ours},
		{"ours in other quotes", "DOCKER_OPTS='" + article + "'\n", "DOCKER_OPTS='" + article + "'\n"},
		{"replaced in place", "DOCKER_OPTS=\"--dns 8.8.8.8\"\nB=2\n", ours + "B=2\n"},
		{"the last one decides", "DOCKER_OPTS=a\nDOCKER_OPTS=b\n", "DOCKER_OPTS=a\n" + ours},
		{"ours, but overridden", ours + "DOCKER_OPTS=b\n", ours + ours},
		{"appends to itself", ours + "DOCKER_OPTS=\"$DOCKER_OPTS --debug\"\n", ours + ours},
		{"plus-equals", ours + "DOCKER_OPTS+=\" --debug\"\n", ours + "DOCKER_OPTS+=\" --debug\"\n" + ours},
		{"exported", "export DOCKER_OPTS=b\n", "export DOCKER_OPTS=b\n" + ours},
		{"conditional", "if true; then\n  DOCKER_OPTS=b\nfi\n", "if true; then\n  DOCKER_OPTS=b\nfi\n" + ours},
		{"over two lines", "DOCKER_OPTS=\"-a \\\n -b\"\nC=3\n", ours + "C=3\n"},
		{"with a comment behind", "DOCKER_OPTS=b # mine\n", "DOCKER_OPTS=b # mine\n" + ours},
		{"one of two on a line", "DOCKER_OPTS=b; C=3\n", "DOCKER_OPTS=b; C=3\n" + ours},
		{"for one command only", "DOCKER_OPTS=b true\n", "DOCKER_OPTS=b true\n" + ours},
		{"another name", "MY_DOCKER_OPTS=b\nDOCKER_OPTS_X=c\n", "MY_DOCKER_OPTS=b\nDOCKER_OPTS_X=c\n" + ours},
		{"carriage returns", "DOCKER_OPTS=\"" + article + "\"\r\n", ours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := setDefault([]byte(tt.file), "DOCKER_OPTS", article)
			if err != nil || string(got) != tt.want {
				t.Errorf("got\n%s\n%v, want\n%s", got, err, tt.want)
			}
		})
	}
}

func TestSetDefaultRefuses(t *testing.T) {
	if _, err := setDefault([]byte("A=1\nB=\"open\nC=3\n"), "DOCKER_OPTS", article); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("an unbalanced quote: %v, want an error that names line 2", err)
	}
	if _, err := setDefault(nil, "DOCKER_OPTS", "a\nb"); err == nil {
		t.Error("two lines were accepted")
	}
}

// TestShellAgrees lets a real shell read what setDefault wrote.
func TestShellAgrees(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	for _, value := range []string{article, `--label a="b c"`, `$HOME`, "`id`", `back\slash`, `\\two`, `it's`, ``, ` spaces  kept `, `#no comment`, `~ * ? [a]`, `$(id) ${x}`} {
		for _, before := range []string{"", "X='1'\n", "DOCKER_OPTS=old\n", "if true; then\n\tDOCKER_OPTS='x y'\nfi\n", "export DOCKER_OPTS=1"} {
			file, err := setDefault([]byte(before), "DOCKER_OPTS", value)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "docker")
			if err := os.WriteFile(name, file, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(sh, "-c", `. "$1"; printf %s "$DOCKER_OPTS"`, "sh", name).Output()
			if err != nil || string(out) != value {
				t.Errorf("sh reads %q, %v from\n%s\nwant %q", out, err, file, value)
			}
			if got := systemdRead(string(file), "DOCKER_OPTS"); got != value {
				t.Errorf("systemd reads %q from\n%s\nwant %q", got, file, value)
			}
		}
	}
}

// systemdRead is systemd's reading of an EnvironmentFile (systemd.exec(5)) for
// the lines that setDefault writes: KEY=VALUE at the beginning of a line,
// later ones win, four characters are escaped between double quotes.
func systemdRead(file, key string) string {
	value := ""
	for line := range strings.Lines(file) {
		v, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), key+"=")
		if !ok {
			continue
		}
		if !strings.HasPrefix(v, `"`) {
			value = v
			continue
		}
		var b strings.Builder
		v = v[1:]
		for i := 0; i < len(v) && v[i] != '"'; i++ {
			if v[i] == '\\' && i+1 < len(v) {
				i++
				if !strings.ContainsRune("\"\\`$", rune(v[i])) {
					b.WriteByte('\\')
				}
			}
			b.WriteByte(v[i])
		}
		value = b.String()
	}
	return value
}

func FuzzSetDefault(f *testing.F) {
	for _, seed := range []string{"", "A=1\n", "DOCKER_OPTS=\"a\\\"b\"\n", "export DOCKER_OPTS='x'", "#c\nDOCKER_OPTS+=x\n", "DOCKER_OPTS=a;b&c\n", "a'b", "\\", "DOCKER_OPTS=\\\n"} {
		f.Add(seed, article)
		f.Add(seed, "q\"\\$`' #")
	}
	f.Fuzz(func(t *testing.T, file, value string) {
		out, err := setDefault([]byte(file), "DOCKER_OPTS", value)
		if err != nil {
			return
		}
		again, err := setDefault(out, "DOCKER_OPTS", value)
		if err != nil || string(again) != string(out) {
			t.Fatalf("not idempotent:\n%q\n%q\n%v", out, again, err)
		}
		spans, err := assignments(string(out), "DOCKER_OPTS")
		if err != nil || len(spans) == 0 {
			t.Fatalf("no assignment in %q: %v", out, err)
		}
		last := spans[len(spans)-1]
		if !last.alone || !last.constant || last.value != value {
			t.Fatalf("%q reads back as %+v, want %q", out, last, value)
		}
		if kept := string(out[:last.start]) + string(out[last.end:]); len(kept) > len(file)+2 {
			t.Fatalf("%q became %q", file, out)
		}
		if !strings.HasPrefix(file, string(out[:last.start])) && file+"\n" != string(out[:last.start]) {
			t.Fatalf("what stands before was changed: %q became %q", file, out)
		}
	})
}
