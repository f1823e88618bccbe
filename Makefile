# `make serve` and `make test` are all a newcomer needs; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEEDS := build
SOURCES := setup.py pyproject.toml $(wildcard s3proxy/_fast/*.pyx s3proxy/_fast/*.pxd s3proxy/_fast/*.h)

# What system packages a goal needs, down to its first prerequisite: all that is missing is named at once.
test test-variants soak check: NEEDS := test
bench: NEEDS := bench

.DELETE_ON_ERROR:
.PHONY: help serve build test test-variants soak bench check format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: build  ## build if needed, then run the gateway on 127.0.0.1:9000
	@exec $(BIN)/s3proxy serve $(ARGS)

build: $(VENV)/.built  ## make .venv, install, compile

$(VENV)/bin/python:
	@.ci/system-packages $(NEEDS)
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

$(VENV)/.built: $(VENV)/bin/python $(SOURCES)
	@.ci/system-packages $(NEEDS)
	@echo "installing and compiling (about a minute)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.built
	@.ci/system-packages test
	@$(BIN)/pip install --quiet --disable-pip-version-check --group test
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@$(BIN)/pip install --quiet --disable-pip-version-check --group check
	@touch $@

test: $(VENV)/.test test-variants  ## run every test (installs what they need)
	$(BIN)/python -m pytest -m "not soak" $(ARGS)

test-variants: $(VENV)/.test  ## the tests of the compiled code, with bounds checks and under AddressSanitizer
	@.ci/fast-variants $(BIN)/python

soak: $(VENV)/.test  ## the long forms of the fault tests
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: $(VENV)/.test  ## measure beside nginx and HAProxy; prints ratios
	@.ci/system-packages bench
	$(BIN)/python -m bench $(ARGS)

check: $(VENV)/.check  ## lint, format, types, stubs, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest s3proxy._fast --ignore-missing-stub
	$(BIN)/python -m pytest -q tests/test_layering.py

format:  ## format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove what was built, not the data
	rm -rf $(VENV) build dist *.egg-info s3proxy/_fast/*.c s3proxy/_fast/*.so
