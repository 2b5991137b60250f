package box

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemoveTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "build")
	if err := os.MkdirAll(filepath.Join(dir, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), "mountinfo")
	line := "36 35 98:0 / " + dir + "/sys rw,noatime - sysfs sysfs rw\n"
	if err := os.WriteFile(table, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(dir, table); err == nil || !strings.Contains(err.Error(), dir+"/sys is still mounted") {
		t.Errorf("over a mount: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sys")); err != nil {
		t.Error(err)
	}
	if err := removeTree(dir, filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is still there")
	}
}
