# Two commands: `make demo` shows it on simulated clusters, `make test` proves it. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# LONG: the tests that have a core and shares (tests/shares.py): SHARD=core, SHARD=2/6, SHARD=core+2/6; without SHARD all of them.
LONG := $(BIN)/python -m pytest -p tests.shares
N ?= 2
ISTIO ?= 1.29.1
MINUTES ?= 30
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# The fast tests wait more than half of their time: three times as many keep the processors at work.
WORKERS := $(shell expr 3 \* $(JOBS))
# The lab's tests, too: two labs at once, as long as there is more than one processor.
LABS ?= $(shell [ $(JOBS) -gt 1 ] && echo 2 || echo 1)
# Without compiled modules every process of the tests, and every program they start, would compile all of them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test goldens check messages pages format lock schema bench lab-up lab-down lab-status lab-reset test-lab test-faults test-package test-all mutants soak clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.runtime ## the main job on two simulated clusters; in a terminal, the wizard
	@$(BIN)/meshwizard demo

test: $(VENV)/.dev ## the fast tests, no root
	$(BIN)/python -m pytest -n $(WORKERS) --maxschedchunk 4

goldens: $(VENV)/.dev ## keep the screens' pictures and istioctl's input as they are now; look at the diff
	MESHWIZARD_GOLDEN=write $(BIN)/python -m pytest -q tests/screens/test_goldens.py tests/unit/test_istio.py

check: $(VENV)/.dev ## format, lint, types, import contracts, sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.sizes
	$(BIN)/python -m tests.messages --check
	$(BIN)/python -m tests.checkpages --check

messages: $(VENV)/.dev ## write the list of all that people read, for translators
	$(BIN)/python -m tests.messages

pages: $(VENV)/.dev ## the page of each check, from the checks
	$(BIN)/python -m tests.checkpages

format: $(VENV)/.dev ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## the ratios of docs/benchmarks.md (root, Debian)
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.first_paint
	$(BIN)/python -m tests.bench.fifty
	$(BIN)/python -m tests.bench.contexts

lab-up: $(VENV)/.dev ## N real clusters on this machine (root, Debian)
	$(BIN)/python -m tests.lab up --n $(N) --istio $(ISTIO)

lab-down: $(VENV)/.dev ## remove every trace of them
	$(BIN)/python -m tests.lab down

lab-status: $(VENV)/.dev ## what runs
	$(BIN)/python -m tests.lab status

lab-reset: $(VENV)/.dev ## back to fresh clusters
	$(BIN)/python -m tests.lab reset

test-all: ## everything, and docs/proven.md from what it saw (root, Debian; hours)
	$(PYTHON) -m tests.proof all

test-package: $(VENV)/.dev ## the wheel, installed by pip, uv and pipx, as another user
	$(BIN)/python -m pytest -n 3 --dist loadscope tests/packaging

test-faults: $(VENV)/.dev ## kills at every boundary, broken disks, servers and terminals (root, Debian; SHARD)
	$(LONG) -n $(JOBS) --timeout 1500 --times .times-faults.json tests/faults

mutants: $(VENV)/.dev ## small faults put into what holds credentials, ownership, redaction and quoting: do tests notice?
	$(BIN)/python -m tests.mutants --jobs $(JOBS)

soak: $(VENV)/.dev ## random meshes, faults, crashes and resumes for MINUTES, with a report
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --jobs $$((2 * $(JOBS))) --report soak.json

test-lab: $(VENV)/.dev ## the main job on real clusters (root, Debian; SHARD)
	$(LONG) -p tests.lab.proven -n $(LABS) --timeout 900 --times .times-lab.json --proven .proven.json tests/lab

lock: $(VENV)/.dev ## pin again what pyproject.toml asks for
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group build --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group dev --output-file requirements-dev.lock pyproject.toml

schema: $(VENV)/.dev ## the JSON Schema of the mesh file, from the declared fields
	$(BIN)/python -m wizard.mesh.schema > mesh.schema.tmp
	mv mesh.schema.tmp wizard/mesh/mesh.schema.json

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "meshwizard needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Setting up $(VENV) (once)" >&2
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Setting up $(VENV) for development (once)" >&2
	@$(PIP) --require-hashes -r requirements-dev.lock
	@# Compiled here once: else each of the tests' processes would compile all of them for itself.
	@-$(BIN)/python -m compileall -q wizard state screens && $(BIN)/python -m pytest --collect-only -q >/dev/null 2>&1
	@touch $@

clean: ## forget the environment and the caches in this folder
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
