//go:build linux

package box

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestDisk runs the real programs on a small system: the file system is sound
// and holds it, the partition table names it, the boot loader is in front.
func TestDisk(t *testing.T) {
	for _, name := range []string{"sh", "tar", "dd"} {
		labtest.NeedProgram(t, name)
	}
	find := func(name string) string {
		path, err := lookPath(name)
		if err != nil {
			return labtest.NeedProgram(t, name)
		}
		return path
	}
	sfdisk, e2fsck, debugfs := find("sfdisk"), find("e2fsck"), find("debugfs")
	find("mke2fs")
	r, err := NewRecipe()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	boot := filepath.Join(dir, "src", "boot", "grub", "i386-pc")
	if err := os.MkdirAll(boot, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"boot.img": strings.Repeat("b", 512), "core.img": strings.Repeat("c", 1500)} {
		if err := os.WriteFile(filepath.Join(boot, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "disk"), r.disk, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(argv ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
		return string(out)
	}
	run("tar", "-C", filepath.Join(dir, "src"), "-cf", filepath.Join(dir, "system.tar"), ".")
	disk := filepath.Join(dir, "disk.raw")
	if err := execute(t.Context(), dir, []string{"sh", filepath.Join(dir, "disk"), filepath.Join(dir, "system.tar"), disk, "64"}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "system")); !os.IsNotExist(err) {
		t.Errorf("the unpacked system: %v", err)
	}
	table := run(sfdisk, "--dump", disk)
	if !strings.Contains(table, "start=        2048, size=      129024, type=83, bootable") {
		t.Errorf("partitions:\n%s", table)
	}
	run(e2fsck, "-f", "-n", disk+"?offset=1048576")
	if got := run(debugfs, "-R", "cat /boot/grub/i386-pc/core.img", disk+"?offset=1048576"); !strings.HasSuffix(strings.TrimSpace(got), strings.Repeat("c", 1500)) {
		t.Errorf("core.img in the file system: %q", got)
	}
	head := make([]byte, 4096)
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(head); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(head[:440], bytes.Repeat([]byte("b"), 440)) || head[440] == 'b' || head[510] != 0x55 || head[511] != 0xaa || !bytes.Equal(head[512:2012], bytes.Repeat([]byte("c"), 1500)) {
		t.Error("the boot loader is not in front of the partition")
	}
}
