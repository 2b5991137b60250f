// Package vm holds the test that goes the whole way on real virtual machines:
//
//	make test-vm        (LAB_TEST_VM=1 go test -run TestVM -v -timeout 60m ./e2e/vm)
//
// It needs root, a Linux computer with the packages that it names where they
// are missing, no KVM (processors are emulated) and no network but Debian's
// mirrors. libvirt runs in namespaces of the test's own (network, mounts,
// processes): nothing of the computer's libvirt, its networks or its folders is
// seen or changed, and nothing outlives the test, however it ends. The box is
// kept, by its recipe, in LAB_TEST_VM_DIR (default: the user's cache folder);
// everything else goes.
//
// It prints how long each step took, and asserts on none of it.
package vm
