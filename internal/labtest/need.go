package labtest

import (
	"os"
	"os/exec"
	"testing"
)

// NeedProgram returns the path of a foreign program that a test needs. Where
// it is missing the test skips; with LAB_TEST_NO_SKIP=1 (as .ci/run sets it,
// after installing them) it fails, so that no skip can hide.
func NeedProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "the program "+name+" is not installed")
	}
	return path
}

// Contracts returns the folder of the contracts (captures, examples), named
// by LAB_CONTRACTS. Where that is unset the test skips, or fails as
// NeedProgram does.
func Contracts(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LAB_CONTRACTS")
	if dir == "" {
		Missing(t, "LAB_CONTRACTS does not name the folder of contracts")
	}
	return dir
}

// Missing skips a test for which something is missing on this computer, or
// fails it under LAB_TEST_NO_SKIP=1. what says what.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("LAB_TEST_NO_SKIP") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}
