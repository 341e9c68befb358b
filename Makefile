# The two commands of the README are `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
PYTHON := build/venv/bin/python

.PHONY: package package-test image help run build test unit functional check format-check sizes tidy asan tsan fuzz fmt bench clean deps-run deps-test deps-bench venv
.DEFAULT_GOAL := build

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: build ## install what is missing, build, run the main job on a real model, keep the server running
	@tools/run_main_job.sh

build: deps-run ## build/bin/homelab-llm and build/bin/homelab-llm-engine
	@tools/build.sh release homelab-llm homelab-llm-engine

test: deps-run deps-test ## build and run every test
	@tools/test.sh

unit: deps-run deps-test ## unit tests only
	@tools/build.sh dev all
	@ctest --test-dir build/dev --output-on-failure -j$(JOBS)

check: deps-run deps-test format-check sizes tidy ## formatting, sizes, clang-tidy

format-check: deps-test
	@tools/format.sh check

sizes: venv
	@$(PYTHON) tools/check_sizes.py

tidy: deps-run deps-test venv
	@tools/tidy.sh

fmt: deps-test ## format all sources
	@tools/format.sh write

asan tsan: deps-run deps-test ## unit tests under sanitizers
	@tools/build.sh $@ unit_tests
	@ctest --test-dir build/$@ --output-on-failure -j$(JOBS)

fuzz: deps-run deps-test ## every fuzz target for 30 seconds
	@tools/build.sh fuzz fuzz_targets
	@tools/fuzz.sh build/fuzz 30

bench: deps-run deps-test deps-bench build venv ## measured side by side with the real peers
	@$(PYTHON) bench/run.py

package: build ## a Debian package in build/, with a systemd unit
	@packaging/make_deb.sh

package-test: package ## installs, upgrades and removes it in a throw-away root (root, debootstrap; minutes)
	@packaging/test_deb.sh

image: build ## the container image out of the programs of `make build`
	@tools/image.sh -t homelab-llm:local

deps-run:
	@tools/install_packages.sh run
deps-test:
	@tools/install_packages.sh test
deps-bench:
	@tools/install_packages.sh bench

venv: build/venv/.complete build/venv-old-client/.complete build/venv-reference/.complete
build/venv/.complete: tests/requirements.txt
	@tools/make_venv.sh build/venv tests/requirements.txt
build/venv-old-client/.complete: tests/requirements-old-client.txt
	@tools/make_venv.sh build/venv-old-client tests/requirements-old-client.txt
build/venv-reference/.complete: tests/requirements-reference.txt
	@tools/make_venv.sh build/venv-reference tests/requirements-reference.txt debian

clean: ## remove what was built; fetched dependencies stay
	@rm -rf build/release build/dev build/asan build/tsan build/tidy build/fuzz build/bin build/lib
