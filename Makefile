# Every task of the project; `make help` lists them, and each sets .venv up first when that is missing or outdated
# SPDX-License-Identifier: MIT

PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
MICROPYTHON ?= $(BIN)/micropython
# OMA's object definitions, and test data of others: not in this repository, and nothing is built from them.
LWM2M_REGISTRY ?= $(CURDIR)/../shared/registry
LWM2M_VECTORS ?= $(CURDIR)/../shared/vectors
PROFILE ?= standard
BOARD ?= UNIX
export PROFILE BOARD LWM2M_REGISTRY LWM2M_VECTORS

.DEFAULT_GOAL := help
.PHONY: help setup demo server test unit fuzz size bench lint format tables package firmware deploy romfs quec clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## .venv with the pinned tools, and MicroPython's unix port in it

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit((3, 11) > v or v > (3, 13))' \
	  || { echo "error: Python 3.11, 3.12 or 3.13 is needed (found $$($(PYTHON) -V)); give one by PYTHON=..."; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) \
	  || { echo "error: no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

demo: $(READY) ## a server and a client talk before your eyes (KEEP=1 leaves both running)
	$(PY) -m tools.demo $(if $(KEEP),--keep)

server: $(READY) ## a server on this terminal, for a device of yours (ARGS="--host ::"; ARGS=-h lists the options)
	$(PY) -m tools.server $(ARGS)

unit: $(READY) ## unit tests on MicroPython only (TESTS="tlv block" picks some, TESTS="-x -t" stops at a failure, tells times)
	$(MICROPYTHON) tests/unit/run.py $(TESTS)

test: unit ## unit tests on MicroPython, then everything that the host drives
	$(PY) -m pytest tests $(ARGS)

fuzz: $(READY) ## hostile datagrams, in process on MicroPython (N=1000000 SEED=1 KINDS="plain two bootstrap dtls shortage")
	$(MICROPYTHON) tests/fuzz/fuzz.py -n $(or $(N),20000) -s $(or $(SEED),1) $(KINDS)

size: $(READY) ## what each profile costs in flash and RAM, against the budgets (ARGS=--check, --update)
	$(PY) -m tools.check.size $(ARGS)

bench: $(READY) ## speed, allocation, instruction counts (ARGS= picks some)
	$(PY) -m tools.check.bench $(ARGS)

lint: $(READY) ## style, spelling, and what old MicroPython lacks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(PY) -m tools.check.lint
	$(PY) -m tools.check.stubs

format: $(READY) ## put the Python code into its standard form
	$(BIN)/ruff format .

tables: $(READY) ## are the committed object tables what the compiler makes of OMA's XML in LWM2M_REGISTRY?
	$(PY) -m tools.objects --check

package: $(READY) ## write package.json (for mip) anew from manifest.py
	$(PY) -m tools.build.package $(ARGS)

firmware: $(READY) ## an image with PROFILE frozen in, for BOARD=UNIX|UNIX32|QEMU_MPS2_AN385|...
	$(PY) -m tools.build.firmware --board $(BOARD) --profile $(PROFILE) $(ARGS)

deploy: $(READY) ## .mpy files of the right version onto the board at PORT
	$(PY) -m tools.build.deploy mpy --profile $(PROFILE) $(if $(PORT),--port $(PORT)) $(ARGS)

romfs: $(READY) ## a ROMFS image that runs in place; with PORT it goes onto the board
	$(PY) -m tools.build.deploy romfs --profile $(PROFILE) $(if $(PORT),--port $(PORT)) $(ARGS)

quec: $(READY) ## /usr for classic QuecPython: .mpy version 5, and how to copy it
	$(PY) -m tools.build.deploy quec --profile $(PROFILE) $(ARGS)

clean: ## what the build made; .venv stays
	rm -rf build .pytest_cache .ruff_cache tests/interop/leshan/*/target
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf
