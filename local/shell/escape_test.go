package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingEscapes tries to read, write, test, list or learn anything of the
// computer. Every script must end without the secret, and leave it unchanged.
func TestNothingEscapes(t *testing.T) {
	w := newWorld(t)
	outer := filepath.Dir(w.dir)
	if err := os.Symlink(outer, filepath.Join(w.dir, "tmp/out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../secret", filepath.Join(w.dir, "tmp/rel")); err != nil {
		t.Fatal(err)
	}
	hostOnly := filepath.Join(outer, "secret")
	t.Setenv("LAB_TEST_SECRET", "SECRET")
	for _, script := range []string{
		"cat ../../../../secret", "cat /../secret", "cat " + hostOnly, "cat /tmp/out/secret", "cat /tmp/rel", "cat < /tmp/rel", "cat < " + hostOnly,
		"cd /tmp/out && cat secret", "cd ../../../..; cat secret", "cd " + outer + " && echo SECRET", "cp /tmp/rel /x && cat /x", "cp -r /tmp/out /y; cat /y/secret",
		"ln -s ../../../../../../../.." + hostOnly + " /l; cat /l", "ln -s " + hostOnly + " /m; cat /m", "ln /tmp/rel /n; cat /n", "mv /tmp/out/secret /o; cat /o",
		"echo changed > /tmp/rel", "echo changed > /tmp/out/secret", "echo changed >> " + hostOnly, "tee /tmp/rel < /etc/passwd", "rm -rf /tmp/out/secret", "rm -rf /tmp/out/", "chmod 777 /tmp/rel",
		"touch /tmp/out/new", "mkdir /tmp/out/dir", "truncate -s 0 /tmp/rel", "install /etc/passwd /tmp/out/secret", "cp /etc/passwd /tmp/rel",
		"test -e " + hostOnly + " && echo SECRET", "[ -x " + hostOnly + " ] && echo SECRET", "[[ -r /tmp/rel ]] && echo SECRET", "test -x /usr/bin/env && echo SECRET", "test -e /proc/self/exe && echo SECRET",
		"cat /proc/self/environ", "cat /proc/self/cwd/secret", "cat /proc/1/environ | grep SECRET", "ls /proc/self/root && echo SECRET", "cat /dev/fd/9", "cat /proc/self/root" + hostOnly,
		". " + hostOnly, "source /tmp/rel", ". ../../../secret", "builtin source " + hostOnly, "command . " + hostOnly, "eval '. " + hostOnly + "'",
		"cat <(cat /etc/passwd && echo SECRET)", "eval 'cat <(echo SECRET)'", "trap 'cat <(echo SECRET)' EXIT", "sh -c 'cat <(echo SECRET)'", "x='cat <(echo SECRET)'; eval \"$x\"", "f() { eval 'cat <(echo SECRET)'; }; f",
		"shopt -s expand_aliases; alias x='cat <(echo SECRET)'; x", "echo 'cat <(echo SECRET)' > /tmp/ps; . /tmp/ps", "echo 'cat <(echo SECRET)' | sh", "echo SECRET > >(cat)", "export TMPDIR=/tmp; eval 'cat <(echo SECRET)'",
		"/bin/busybox echo SECRET", "/usr/bin/env && printenv LAB_TEST_SECRET", "exec /usr/bin/printenv LAB_TEST_SECRET", "echo $LAB_TEST_SECRET", "env | grep SECRET", "sudo env | grep SECRET", "perl -e 'print SECRET'", "python3 -c 'print(\"SECRET\")'",
		"find / -name secret | grep secret && echo SECRET", "ls /tmp/out | grep secret && echo SECRET", "ls -R / | grep secret && echo SECRET", "echo /tmp/out/* | grep secret && echo SECRET", "echo /tmp/out/s* | grep secret && echo SECRET", "echo ../../../../s* | grep secret && echo SECRET",
		"scp -t /tmp/out", "scp -f /tmp/rel", "curl -s file://" + hostOnly, "curl -s -d @" + hostOnly + " http://127.0.0.1:1/", "base64 -d " + hostOnly, "grep -r SECRET /tmp/out/secret", "tail /tmp/rel", "stat /tmp/rel", "sha256sum /tmp/rel", "readlink -f /tmp/out | grep . && cat $(readlink -f /tmp/out)/secret",
		"mapfile -t x < /tmp/rel; echo ${x[0]}", "read x < " + hostOnly + "; echo $x", "echo $(< " + hostOnly + ")", "while read l; do echo $l; done < /tmp/rel", "pushd " + outer + " && cat secret", "CDPATH=" + outer + "; cd . ; cat secret", "HOME=" + outer + "; cd; cat secret", "cat ~/../../../secret",
	} {
		out, _, exit := w.run(script, "\x00\x00")
		if strings.Contains(out, "SECRET") {
			t.Errorf("%s: %q, exit %d", script, out, exit)
		}
		if text, err := os.ReadFile(hostOnly); string(text) != "SECRET\n" || err != nil {
			t.Fatalf("%s changed the computer: %q, %v", script, text, err)
		}
		if entries, _ := os.ReadDir(outer); len(entries) != 2 {
			t.Fatalf("%s made something outside: %v", script, entries)
		}
		if i, err := os.Stat(hostOnly); err != nil || i.Mode().Perm() != 0o644 {
			t.Fatalf("%s changed a mode: %v %v", script, i, err)
		}
	}
}

func TestTheComputerIsInvisible(t *testing.T) {
	w := newWorld(t)
	for script, want := range map[string]string{
		"echo ~root ~vagrant ~daemon ~nobody":                 "/root /home/vagrant ~daemon ~nobody\n",
		"echo $UID $EUID $HOME $TMPDIR":                       "1000 1000 /home/vagrant\n",
		"command -v gofmt go gcc env | grep -v ^/usr/bin/env": "",
		"builtin type ls":                                     "ls is /bin/ls\n",
		"command command -v perl":                             "",
		"cd /tmp; pwd -P":                                     "/tmp\n",
		"cd /; cd ..; cd ../..; pwd":                          "/\n",
	} {
		if out, errOut, _ := w.run(script, ""); out != want {
			t.Errorf("%s: %q (%s), want %q", script, out, errOut, want)
		}
	}
}

func TestBaseIsTheRootOfAContainer(t *testing.T) {
	w := newWorld(t)
	os.MkdirAll(filepath.Join(w.dir, "var/c/rootfs/etc"), 0o755)
	os.WriteFile(filepath.Join(w.dir, "var/c/rootfs/etc/passwd"), []byte("container\n"), 0o644)
	os.Symlink("../../../../tmp", filepath.Join(w.dir, "var/c/rootfs/etc/shared")) // a bind mount of the engine
	w.cfg.Base, w.cfg.Dir = "var/c/rootfs", "/"
	out, errOut, _ := w.run("cat /etc/passwd ../../../etc/passwd; ln -s /etc/passwd /a; cat /a; ls -d /home; echo x > /etc/shared/f; ln -s ../../../../../../etc/passwd up; cat up", "")
	if out != "container\ncontainer\ncontainer\ncontainer\n" {
		t.Errorf("%q, %s", out, errOut)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "tmp/f")); err != nil {
		t.Errorf("a volume leads nowhere: %v", err)
	}
}
