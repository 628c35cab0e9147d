# Everything a person types: demo, stack-demo, test, lint, infra-check, bench, soak, judge. Each target makes the virtual environment by itself.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SEASON ?= 2023-24
HOME_DIR ?= .phasegate
PIPELINE ?= pipelines/nba/pipeline.yaml
MINUTES ?= 20
SEED ?= 1
STATEMENTS ?= 1000
# The newest interpreter that can make a virtual environment; 3.11 is the oldest supported.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

# The stand-in for BigQuery needs Python 3.13 and an environment of its own.
BIGQUERY := $(VENV)/bigquery-emulator
BIGQUERY_NEEDS := shared/phasegate/stack/bigquery-emulator
PYTHON313 = $(shell for p in python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python3.13; do \
	"$$p" -c 'import venv, ensurepip' >/dev/null 2>&1 && echo "$$p" && break; done)

# What scans the Terraform configuration, in an environment of its own: it pins what the product leaves open.
CHECKOV := $(VENV)/checkov

# Google's published SQL engine, in an environment of its own: it judges what a statement means.
JUDGE := $(VENV)/judge

# Where the newest versions are tried that requirements.txt and requirements-dev.txt allow.
NEWEST := $(VENV)/newest

# pip installs uv, and uv all else: where pip looks at every release that a package ever had, uv reads the lock alone.
UV := $(BIN)/uv
# Who reaches PyPI by a mirror has told pip which; uv is told the same.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
# Exactly a lock's versions, no other file than those whose hashes it names.
EXACTLY := --require-hashes --no-deps
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check $(EXACTLY) -r
UV_INSTALL := $(UV) pip install --quiet --compile-bytecode
LOCKED_INSTALL := $(UV_INSTALL) $(EXACTLY) -r

.PHONY: demo stack-demo emulators stand-in axe test tests test-newest lint infra-check bench soak judge reliability lock audit sbom clean

$(UV): requirements-install.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP_INSTALL) requirements-install.lock
	@touch $@

# The package itself is built by the lock's setuptools.
$(VENV)/.installed: $(UV) requirements-dev.lock requirements.txt requirements-dev.txt pyproject.toml
	$(LOCKED_INSTALL) requirements-dev.lock --python $(VENV)
	$(UV_INSTALL) --no-deps --no-build-isolation -e . --python $(VENV)
	@touch $@

demo: $(VENV)/.installed
ifdef SOURCE
	$(BIN)/phasegate --home $(HOME_DIR) run --pipeline $(PIPELINE) --source $(SOURCE) --season $(SEASON)
else
	$(BIN)/phasegate sample $(HOME_DIR)/sample --pipeline $(PIPELINE) --season $(SEASON)
	@echo "No SOURCE was given: the league in $(HOME_DIR)/sample is made up." >&2
	$(BIN)/phasegate --home $(HOME_DIR) run --pipeline $(PIPELINE) --source $(HOME_DIR)/sample --season $(SEASON)
endif

# Two weeks on the local stack, begun as one begins a run on Google Cloud.
stack-demo: emulators
ifndef SOURCE
	$(BIN)/phasegate sample $(HOME_DIR)/sample --pipeline $(PIPELINE) --season $(SEASON)
	@echo "No SOURCE was given: the league in $(HOME_DIR)/sample is made up." >&2
endif
	PHASEGATE="$(BIN)/phasegate --home $(HOME_DIR)" bash shared/phasegate/stack/demo.sh $(PIPELINE) $(or $(SOURCE),$(HOME_DIR)/sample)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:pipelines/nba $(BIN)/lint-imports

# Never fails: says what is not there, and that its tests are skipped.
emulators: $(VENV)/.installed stand-in
	@$(BIN)/python -m phasegate.stack.emulators || true

# Needs nothing of the other environment but uv: `make -j2 emulators` makes both at once.
stand-in: $(UV)
	@test $(BIGQUERY)/.installed -nt $(BIGQUERY_NEEDS).lock || { test -n "$(PYTHON313)" && \
	"$(PYTHON313)" -m venv --without-pip $(BIGQUERY) && \
	$(LOCKED_INSTALL) $(BIGQUERY_NEEDS).lock --python $(BIGQUERY) && \
	HOME="$(CURDIR)/$(BIGQUERY)" $(BIGQUERY)/bin/python -c \
		"import duckdb_extensions as d; [d.import_extension(name) for name in ('ducklake', 'icu', 'spatial')]" && \
	touch $(BIGQUERY)/.installed; } || true

# What the test of the report's page measures with; without npm or network that test is skipped.
axe: $(VENV)/.installed
	@test -e $(VENV)/axe/node_modules/axe-core/axe.min.js || \
	{ mkdir -p $(VENV)/axe && cp tests/report/axe/package*.json $(VENV)/axe && \
	npm ci --ignore-scripts --silent --no-audit --no-fund --prefix $(VENV)/axe; } || \
	echo "axe-core could not be installed (npm and the network are needed); its test is skipped"

test: lint tests

# The tests open and close thousands of small databases: in memory where there is room (they need less than 1 GB).
# They start hundreds of processes, which read the compiled files that the first of them writes, whatever the shell says.
# Three at once, for two cores: those that run a stack wait for it much of their time.
tests: emulators axe
	@room=$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1); \
	if [ "$${room:-0}" -gt 4000000 ]; then \
		export TMPDIR=$$(mktemp -d -p /dev/shm phasegate.XXXXXX); trap 'rm -rf "$$TMPDIR"' EXIT; fi; \
	PYTHONDONTWRITEBYTECODE= MAKEFLAGS= $(BIN)/pytest -n 3 --no-loadscope-reorder

# The same with the newest versions that the ranges allow. CI runs what is locked: this is for whoever moves the locks.
test-newest: $(UV)
	$(PYTHON) -m venv $(NEWEST)
	$(UV_INSTALL) --upgrade -e '.[dev]' --python $(NEWEST)
	@touch $(NEWEST)/.installed
	$(MAKE) test VENV=$(NEWEST)

# The Terraform configuration, with no cloud at hand; TFCHECK=PATH where the Terraform registry cannot be reached.
infra-check: $(CHECKOV)/.installed
	@TFCHECK="$(TFCHECK)" CHECKOV="$(CHECKOV)/bin/checkov" infra/check

$(CHECKOV)/.installed: $(UV) infra/checkov.lock
	$(PYTHON) -m venv --without-pip $(CHECKOV)
	$(LOCKED_INSTALL) infra/checkov.lock --python $(CHECKOV)
	@touch $@

DELIVERY := $(VENV)/delivery
LOCKED := $(VENV)/locked

$(DELIVERY)/.installed: requirements-delivery.lock $(VENV)/.installed
	$(PYTHON) -m venv $(DELIVERY)
	$(LOCKED_INSTALL) requirements-delivery.lock --python $(DELIVERY)
	@touch $@

# Exactly what is deployed, and nothing else; fails when a hash is wrong or a package is missing.
$(LOCKED)/.installed: requirements.lock $(VENV)/.installed
	$(PYTHON) -m venv --clear --without-pip $(LOCKED)
	$(LOCKED_INSTALL) requirements.lock --python $(LOCKED)
	$(UV) pip check --quiet --python $(LOCKED)
	@touch $@

# Versions stay where the ranges still allow them; `make lock UPGRADE=--upgrade` takes the newest (docs/decisions/0019-locked-versions.md).
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(UPGRADE)

# requirements.lock is what is deployed; what it pins stands in requirements-dev.lock in the same version.
lock: $(UV)
	$(LOCK) --python-version 3.11 requirements-install.txt -o requirements-install.lock
	$(LOCK) --python-version 3.11 requirements.txt -o requirements.lock
	$(LOCK) --python-version 3.11 -c requirements.lock requirements.txt requirements-dev.txt -o requirements-dev.lock
	$(LOCK) --python-version 3.11 -c requirements.lock requirements.txt pipelines/nba/requirements.txt -o pipelines/nba/requirements.lock
	$(LOCK) --python-version 3.11 requirements-delivery.txt -o requirements-delivery.lock
	$(LOCK) --python-version 3.11 infra/checkov.txt -o infra/checkov.lock
	$(LOCK) --python-version 3.13 $(BIGQUERY_NEEDS).txt -o $(BIGQUERY_NEEDS).lock
	$(LOCK) --python-version 3.11 tests/judge/engine.txt -o tests/judge/engine.lock

# Known vulnerabilities of what is deployed. Also fails when the database of them cannot be asked.
audit: $(DELIVERY)/.installed
	$(DELIVERY)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock

# What is deployed, by version and licence; fails for a licence that binds whoever passes the work on.
sbom: $(LOCKED)/.installed $(DELIVERY)/.installed
	@mkdir -p build
	$(DELIVERY)/bin/cyclonedx-py environment $(LOCKED)/bin/python --of JSON \
		--output-reproducible -o build/sbom.cdx.json
	$(DELIVERY)/bin/pip-licenses --python $(LOCKED)/bin/python --format markdown --with-urls --partial-match \
		--ignore-packages pip setuptools --fail-on 'AGPL;GNU General;GPL-2;GPL-3;SSPL;BUSL' --output-file build/licences.md

# Beside the commit before dates travelled together. Whether or not all bounds hold, the page says what was found.
bench: emulators
	@$(BIN)/python -m bench --json bench/figures.json; status=$$?; \
	test $$status -eq 2 || $(BIN)/python -m bench --json bench/figures.json --write docs/benchmarks.md; exit $$status

# A local stack without a quiet minute, and what must be true in the end. Not part of CI.
soak: emulators
	$(BIN)/python -m bench.soak --minutes $(MINUTES) --seed $(SEED)

# Random statements, asked of Google's engine and of the translator with DuckDB. Not part of CI.
judge: $(VENV)/.installed $(JUDGE)/.installed
	$(BIN)/python -m tests.judge --statements $(STATEMENTS) --seed $(SEED)

$(JUDGE)/.installed: $(UV) tests/judge/engine.lock
	$(PYTHON) -m venv --without-pip $(JUDGE)
	$(LOCKED_INSTALL) tests/judge/engine.lock --python $(JUDGE)
	@touch $@

# Writes docs/reliability.md: each promise, the tests that hold it, the number of their cases.
reliability: $(VENV)/.installed
	$(BIN)/python -m tests.promises

clean:
	rm -rf $(VENV) .phasegate build *.egg-info
