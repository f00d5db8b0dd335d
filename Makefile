# Joblet: one command for everything a person does here. `make` alone lists them.

SWIFT ?= swift
CONFIGURATION ?= release
RELEASE_FLAGS := -c release -Xswiftc -static-stdlib
CHECK_FLAGS := --explicit-target-dependency-import-check error
PREFIX ?= /opt/joblet
PROGRAMS := joblet persist state rnx joblet-shim

.PHONY: help setup all joblet persist state rnx shim demo test test-vm test-core check fmt proto bench install \
	install-tools clean

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

setup: ## installs what is missing: Debian packages, and Python packages into .venv
	@scripts/setup.sh

all: joblet persist state rnx shim ## builds every program into bin/

joblet: ## builds the daemon into bin/
	@scripts/build.sh joblet

persist: ## builds the worker for logs and metrics into bin/
	@scripts/build.sh persist

state: ## builds the worker for job records into bin/
	@scripts/build.sh state

rnx: ## builds the command line client into bin/
	@scripts/build.sh rnx

shim: ## builds the job supervisor into bin/
	@scripts/build.sh joblet-shim

demo: setup ## builds everything and runs a real job, through a killed daemon to stored history
	@scripts/demo.sh

test: setup ## runs every test
	@scripts/test.sh

test-vm: ## runs what needs pure cgroup v2 or a power cut in virtual machines, after `make test`
	@scripts/test-vm.sh

test-core: ## runs the tests of storage and isolation, which need no gRPC
	JOBLET_CORE=1 $(SWIFT) test --scratch-path .build-core

check: setup ## format, lint, import rules, warnings as errors, generated code, the published API
	@scripts/check.sh

fmt: ## formats the Swift sources
	$(SWIFT) format --in-place --recursive --parallel $$(scripts/swift-sources.sh)

proto: setup ## generates Sources/Server/API/Generated from the protos
	@scripts/generate-proto.sh

bench: setup all ## measures, e.g. make bench ONLY=start,log
	@ONLY="$(ONLY)" BENCH_BIN=bin scripts/bench.sh

install: all ## installs into PREFIX (/opt/joblet)
	install -d -m 0755 $(PREFIX)/bin
	install -d -m 0700 $(PREFIX)/config
	install -m 0755 $(addprefix bin/,$(PROGRAMS)) $(PREFIX)/bin/
	test -e $(PREFIX)/config/joblet-config.yml || install -m 0600 config/joblet-config.yml $(PREFIX)/config/
	ln -sf $(PREFIX)/bin/rnx /usr/local/bin/rnx

install-tools: ## builds the protobuf plugins that `make proto` needs
	$(SWIFT) build --product protoc-gen-swift
	$(SWIFT) build --product protoc-gen-grpc-swift-2

clean: ## removes everything that was built
	rm -rf .build .build-core bin dist
