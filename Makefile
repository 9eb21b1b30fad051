# The short commands. Everything real happens in CMake (CMakePresets.json) and scripts/.
.DEFAULT_GOAL := help
.PHONY: help setup build train test bench lint format fuzz install clean

JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
ARGS ?=

help:  ## show this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup:  ## install what building and testing need, if anything is missing
	@scripts/setup

build: setup  ## build the program: build/release/anemone
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target anemone --parallel $(JOBS)

train: build  ## build, then train the default layer, and a small language model (flags for both: ARGS="--steps 50")
	build/release/anemone train --config configs/layer.toml --partition six $(ARGS)
	build/release/anemone train --config configs/tiny.toml $(or $(ARGS),--steps 3200 --set train.validate_every=100)

test: setup  ## all checks: format, both compilers, unit tests, sanitizers, structure
	@JOBS=$(JOBS) scripts/test

bench: build  ## time training steps, then the kernels (more flags of `bench step`: ARGS="--json")
	build/release/anemone bench step --config configs/layer.toml $(ARGS)
	@cmake --build --preset release --target benchmarks --parallel $(JOBS)
	@for program in build/release/bench/*; do [ ! -x $$program ] || $$program || exit 1; done

lint: setup  ## clang-tidy on the files changed since main (all of them: make lint ARGS=--all)
	@scripts/lint $(ARGS)

format:  ## format every C++ file
	@scripts/format

fuzz: setup  ## build the fuzz targets and run each for a minute (make fuzz ARGS=SECONDS)
	@JOBS=$(JOBS) scripts/fuzz $(ARGS)

install: build  ## install program and library below /usr/local (or PREFIX=...)
	@cmake --build --preset release --parallel $(JOBS)
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)

clean:  ## remove everything that was built
	rm -rf build
