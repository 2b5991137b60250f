# What people type most. Each target is one command of Go's own, which works
# without make, too.

.PHONY: help test test-docker test-long test-vm bench

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

test: ## run all tests that need no other machine (some skip where foreign programs are missing)
	go test -timeout 30m ./...

DOCKER_TESTS = go test -count=1 -p 1 -timeout 90m -v -run '^(TestNothingStays|TestInside|TestRealEngine|TestDocker)' \
	./internal/labtest/dockerd ./containers ./mini/mesos/agent ./e2e

test-docker: ## go the whole way on machines in containers: some minutes, root, Debian's docker.io
	LAB_TEST_DOCKER=1 $(DOCKER_TESTS)

test-long: ## the same, and what takes long, also on embedded machines: an hour
	LAB_TEST_LONG=1 go test -count=1 -timeout 90m -v -run '^TestLong' ./e2e
	LAB_TEST_DOCKER=1 LAB_TEST_LONG=1 $(DOCKER_TESTS)

test-vm: ## go the whole way on three real VMs: a quarter of an hour, root, Debian's Vagrant and libvirt
	LAB_TEST_VM=1 go test -run '^TestVM$$' -v -count=1 -timeout 60m ./e2e/vm

bench: ## measure what README and issues promise
	go test -run - -bench . ./bench
